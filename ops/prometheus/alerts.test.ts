import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { unknownIn } from '../testing/promql.ts'

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly labels: Record<string, string>
  readonly annotations: Record<string, string>
}
const read = (file: string) => readFileSync(join(import.meta.dirname, file), 'utf8')
const { rules } = (parse(read('alerts.yml')) as { groups: { rules: Rule[] }[] }).groups[0]!
const tests = read('alerts.test.yml')
const document = read('../docs/metrics.md')

t.test('every metric and label that an alert asks for is exported', async (t) => {
  t.ok(rules.length >= 10)
  for (const { alert, expr } of rules) t.strictSame(await unknownIn(expr), [], alert)
})

t.test('an alert says how urgent it is, what is the matter, and where its runbook is', async (t) => {
  for (const { alert, labels, annotations } of rules) {
    t.match(labels['severity'], /^(critical|warning)$/, alert)
    t.ok(annotations['summary'] && annotations['description'], alert)
    t.match(annotations['runbook_url'], /^ops\/docs\/runbooks\.md#[a-z-]+$/, alert)
  }
})

t.test('the documents list the alerts that there are', async (t) => {
  const listed = [...document.matchAll(/^\| `(Sluice\w+)`/gm)].map(([, name]) => name)
  t.strictSame(listed.sort(), rules.map(({ alert }) => alert).sort())
})

t.test('every alert is tested where it fires and where it does not', async (t) => {
  const checks = [...tests.matchAll(/alertname="(\w+)"[^\n]*\n\s+eval_time: \S+\n\s+exp_samples: *(\[\])?/g)]
  for (const { alert } of rules) {
    const own = checks.filter(([, name]) => name === alert)
    t.ok(
      own.some(([, , none]) => none === undefined),
      `${alert} fires`,
    )
    t.ok(
      own.some(([, , none]) => none !== undefined),
      `${alert} does not fire`,
    )
  }
})

const promtool = (...args: string[]) =>
  spawnSync('promtool', args, { cwd: import.meta.dirname, encoding: 'utf8', timeout: 120_000 })
const missing = promtool('--version').error && 'promtool is not on the PATH (Debian: apt-get install prometheus)'
if (missing) console.error(`skipped: ${missing}`)

t.test('the rules are valid, and their unit tests pass', { skip: missing ?? false }, async (t) => {
  for (const args of [
    ['check', 'rules', 'alerts.yml'],
    ['check', 'config', '--syntax-only', 'prometheus.yml'],
    ['test', 'rules', 'alerts.test.yml'],
  ]) {
    const { status, stdout, stderr } = promtool(...args)
    t.equal(status, 0, `promtool ${args.join(' ')}\n${status === 0 ? '' : stdout + stderr}`)
  }
})
