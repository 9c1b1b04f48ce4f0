/** What one scenario leaves behind: the receivers' logs and what was done when; all figures and plots are made of it. */
import type { LimitStep, Span } from './analysis.ts'
import type { LoggedRequest, LoggedWork } from './receivers.ts'

export type { LoggedRequest, LoggedWork }

export interface BenchEvent {
  readonly atMs: number
  readonly label: string
  /** The minute after it is judged. An outage's beginning is only drawn: nothing flows after it by design. */
  readonly judged: boolean
  /** Something ended here from which the flow has to come back. */
  readonly recovery: boolean
}

export interface Limits {
  readonly requests: readonly LimitStep[]
  readonly tokens: readonly LimitStep[]
}

export type ScenarioKind = 'baseline' | 'steady' | 'event'

export interface Recording {
  readonly id: string
  readonly title: string
  readonly kind: ScenarioKind
  /** Most that ran at once. */
  readonly instances: number
  /** What was done, for people. */
  readonly what: string
  /** What stands behind the Postgres receiver. */
  readonly database: string
  /** Publication of the first page of the crawl; a baseline's first dispatch. */
  readonly startedMs: number
  /** Everything was stored and committed. null: it was not, within the scenario's time. */
  readonly drainedMs: number | null
  /** From `startedMs` on, in the order of arrival. */
  readonly embeddings: readonly LoggedRequest[]
  readonly postgres: readonly LoggedWork[]
  /** When each page was published, by its id. */
  readonly publishedMs: Readonly<Record<string, number>>
  /** Pages whose waits are compared, by arm; set where tenants are compared. */
  readonly arms: Readonly<Record<string, readonly string[]>>
  readonly events: readonly BenchEvent[]
  /** Stretches in which nothing is to flow, or nothing can. */
  readonly outages: readonly Span[]
  readonly limits: Limits
  readonly pages: { readonly published: number; readonly stored: number }
  /** Most tasks that the sender had under way or waiting; only a baseline knows. */
  readonly tasksOpen: number | null
  /** Why it is incomplete. */
  readonly failure: string | null
}
