import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createMetrics } from '../metrics.ts'
import { unknownIn } from '../testing/promql.ts'

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[]
}
interface Dashboard {
  readonly uid: string
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly { readonly name: string; readonly query: string }[] }
}
const text = readFileSync(join(import.meta.dirname, 'dashboards', 'sluice.json'), 'utf8')
const dashboard = JSON.parse(text) as Dashboard
const charts = dashboard.panels.filter(({ type }) => type !== 'row')
/** As Grafana puts them in. */
const filled = (expr: string) => expr.replaceAll('$__rate_interval', '1m').replaceAll('$stage', '.*')

t.test('every metric and label that a panel shows is exported', async (t) => {
  t.ok(charts.length > 20)
  for (const { title, targets = [] } of charts) {
    t.ok(targets.length > 0, title)
    for (const { expr, legendFormat } of targets) {
      t.strictSame(await unknownIn(filled(expr)), [], title)
      for (const [, label] of legendFormat.matchAll(/{{(\w+)}}/g)) {
        const by = /by \(([^)]*)\)/.exec(expr)?.[1]
        if (by !== undefined) t.ok(by.split(/, */).includes(label!), `${title}: ${legendFormat} needs ${label}`)
      }
    }
  }
})

t.test('its variables are declared, and their values are exported', async (t) => {
  const declared = dashboard.templating.list.map(({ name }) => name)
  for (const [, name] of text.matchAll(/\$\{?(\w+)/g))
    if (!name!.startsWith('__')) t.ok(declared.includes(name!), `$${name}`)
  const { query } = dashboard.templating.list.find(({ name }) => name === 'stage')!
  const [, metric, label] = /^label_values\((\w+), (\w+)\)$/.exec(query)!
  t.strictSame(await unknownIn(`${metric}{${label}="x"}`), [])
})

t.test('what is fleet-wide is never summed over instances as it is', async (t) => {
  const fleetWide = createMetrics()
    .families()
    .map(({ name }) => name)
    .filter((name) => /^sluice_(group_|lag_unthrottled|dead_letters|replay|budget_limit)/.test(name))
  t.ok(fleetWide.length > 8)
  for (const { title, targets = [] } of charts)
    for (const { expr } of targets)
      for (const name of fleetWide)
        if (expr.includes(name))
          t.match(expr, new RegExp(`(max|min)( by \\([^)]*\\))? \\(${name}`), `${title}: ${expr}`)
})

t.test('panels have ids of their own and lie beside each other', async (t) => {
  t.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length)
  for (const [index, { title, gridPos: a }] of dashboard.panels.entries()) {
    t.ok(a.x + a.w <= 24, title)
    for (const { title: other, gridPos: b } of dashboard.panels.slice(index + 1))
      t.notOk(a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h, `${title} and ${other}`)
  }
})
