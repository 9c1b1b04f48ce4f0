/** The columns of the table of figures, on the terminal as in the report. */
import type { EventFigures, Figures } from './figures.ts'

/** `of`: shown only for these; everywhere when left out. */
interface Column {
  readonly heading: string
  readonly value: (figures: Figures) => string
  readonly of?: 'calm' | 'events'
}

const number = (value: number | null | undefined, digits = 2) =>
  value === null || value === undefined || !Number.isFinite(value) ? '–' : value.toFixed(digits)

/** Beyond ten times, a percentage is hard to read. */
export const excess = (share: number) => (share < 10 ? `${(share * 100).toFixed(1)}%` : `× ${(share + 1).toFixed(0)}`)

export const columns: readonly Column[] = [
  { heading: 'peak / mean', value: ({ peak }) => number(peak?.ratio) },
  { heading: 'after events', value: ({ events }) => number(largest(events)), of: 'events' },
  { heading: 'fullest second', value: ({ mostInASecond }) => String(mostInASecond) },
  { heading: 'in flight, API', value: ({ inFlight }) => String(inFlight.embeddings) },
  { heading: 'in flight, Postgres', value: ({ inFlight }) => String(inFlight.postgres) },
  { heading: 'outstanding', value: ({ outstanding }) => String(outstanding) },
  { heading: 'tasks open', value: ({ tasksOpen }) => (tasksOpen === null ? '–' : String(tasksOpen)), of: 'calm' },
  { heading: 'requests over rate', value: ({ overRate }) => excess(overRate.requests) },
  { heading: 'tokens over rate', value: ({ overRate }) => excess(overRate.tokens) },
  { heading: 'requests', value: ({ requests }) => String(requests) },
  { heading: '429s', value: ({ refused }) => String(refused) },
  { heading: 'retries', value: ({ retryShare }) => `${(retryShare * 100).toFixed(1)}%` },
  { heading: 'drain', value: ({ drainS }) => (drainS === null ? 'never' : `${number(drainS, 1)} s`) },
  { heading: 'drain / ideal', value: ({ drainRatio }) => number(drainRatio), of: 'calm' },
  { heading: 'p99 wait', value: ({ waitP99S }) => `${number(waitP99S, 1)} s` },
  { heading: 'steady again', value: ({ events }) => steadyAgain(events), of: 'events' },
]

function largest(events: readonly EventFigures[]): number | null {
  const ratios = events.flatMap(({ peak }) => (peak ? [peak.ratio] : []))
  return ratios.length === 0 ? null : Math.max(...ratios)
}

function steadyAgain(events: readonly EventFigures[]): string {
  const due = events.filter(({ recovery }) => recovery)
  if (due.length === 0) return '–'
  return due.map(({ steadyAfterS }) => (steadyAfterS === null ? 'never' : `${steadyAfterS.toFixed(1)} s`)).join(', ')
}
