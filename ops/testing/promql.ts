/** Which metrics and labels an expression of PromQL asks for that the code does not export. */
import { parser } from '@prometheus-io/lezer-promql'
import { createMetrics } from '../metrics.ts'
import type { Family } from '../metrics/families.ts'

/** Prometheus' own, of every scrape. */
const SCRAPE_LABELS = ['job', 'instance']
const SCRAPE_METRICS = new Map([['up', new Set(SCRAPE_LABELS)]])

const exported = labelsByMetric()

async function labelsByMetric(): Promise<Map<string, Set<string>>> {
  const metrics = createMetrics()
  const known = new Map([...SCRAPE_METRICS, ...metrics.families().flatMap(seriesOf)])
  // Node's own: their labels are in the text.
  for (const [, name, labels = ''] of (await metrics.text()).matchAll(/^(sluice_process_\w+)(?:\{([^}]*)\})?/gm))
    known.set(name!, new Set([...SCRAPE_LABELS, ...[...labels.matchAll(/(\w+)=/g)].map(([, label]) => label!)]))
  return known
}

function seriesOf({ name, type, labels }: Family): [string, Set<string>][] {
  const all = [...SCRAPE_LABELS, ...labels]
  if (type !== 'histogram') return [[name, new Set(all)]]
  return [
    [`${name}_bucket`, new Set([...all, 'le'])],
    [`${name}_sum`, new Set(all)],
    [`${name}_count`, new Set(all)],
  ]
}

/** @throws Error for what is no PromQL. */
export async function unknownIn(expression: string): Promise<string[]> {
  const known = await exported
  const problems: string[] = []
  const used = new Set<string>()
  const grouped: string[] = []
  let metric = ''
  parser.parse(expression).iterate({
    enter: ({ type, from, to, node }) => {
      const text = expression.slice(from, to)
      if (type.isError) throw new Error(`no PromQL at ${from}: ${expression}`)
      if (type.name === 'Identifier' && node.parent?.name === 'VectorSelector') {
        metric = text
        used.add(metric)
        if (!known.has(metric)) problems.push(metric)
      }
      if (type.name !== 'LabelName') return
      if (node.parent?.name === 'GroupingLabels') grouped.push(text)
      else if (known.has(metric) && !known.get(metric)!.has(text)) problems.push(`${metric}{${text}}`)
    },
  })
  const somewhere = new Set([...used].flatMap((name) => [...(known.get(name) ?? [])]))
  return [...problems, ...grouped.filter((label) => !somewhere.has(label)).map((label) => `by (${label})`)]
}
