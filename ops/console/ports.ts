/**
 * What the console shows and does, as ports: it knows no broker and no database. A part that is not there (`undefined`)
 * is not shown. Everything that may wait is a promise; figures are read at once and cost nothing.
 */
import type { StageName } from '../../streams/topology.ts'
import type { LimitWish } from '../commands/control-limits.ts'
import type { DeadLetter } from '../dlq/dead-letters.ts'
import type { LagRow } from '../lag/rows.ts'
import type { Target, Told } from '../operator.ts'
import type { Sample } from './history.ts'
import type { Jobs } from './jobs.ts'

export interface TenantRow {
  readonly tenant: string
  /** Records settled a second over the last minute by stage, in this instance. */
  readonly perSecond: Readonly<Record<string, number>>
  /** Records to the retry topic or the dead letters since this instance started. */
  readonly failures: number
  readonly lastSeenMs: number | null
  readonly runningCrawls: number
  /** URLs that wait in the frontier. */
  readonly pendingUrls: number
}

export interface CrawlRow {
  readonly tenant: string
  readonly id: string
  readonly status: string
  readonly chunkType: string
  readonly maxPages: number
  readonly admitted: number
  readonly fetched: number
  readonly gone: number
  readonly unchanged: number
  readonly skipped: number
  readonly failed: number
  readonly createdMs: number
  readonly updatedMs: number
}

export interface CrawlDetail {
  readonly reasons: Readonly<Record<string, number>>
  readonly urls: readonly { readonly url: string; readonly state: string; readonly reason: string }[]
}

export interface Crawls {
  /** Newest first. */
  readonly list: () => Promise<readonly CrawlRow[]>
  readonly detail: (tenant: string, id: string) => Promise<CrawlDetail>
  readonly start: (wish: { tenant: string; urls: readonly string[]; maxPages?: number }) => Promise<string>
}

/** Of every text here the writer is unknown: it is shown as text, never as markup. */
export interface DeadLetterRow extends Omit<DeadLetter, 'value' | 'origin' | 'action'> {
  /** Of the page, where the record can be read; else empty. */
  readonly url: string
  readonly title: string
}

/** Which letters are meant: those that match all that is given. `ids` are `partition/offset`. */
export interface DeadLetterChoice {
  readonly topic: string
  readonly tenant?: string | undefined
  readonly code?: string | undefined
  readonly ids?: readonly string[] | undefined
}

/** `total` counts all that are open, `rows` are the newest of them. */
export interface LetterList {
  readonly total: number
  readonly oldestMs: number | null
  readonly topics: readonly { readonly topic: string; readonly open: number }[]
  readonly rows: readonly DeadLetterRow[]
}

export interface DeadLetterPort {
  readonly list: () => Promise<LetterList>
  readonly show: (topic: string, id: string) => Promise<object>
  /** @returns `{ done }`, or `{ job }` when it takes longer. */
  readonly redrive: (
    choice: DeadLetterChoice & { readonly by: string; readonly perSecond?: number | undefined },
  ) => Promise<object>
  readonly discard: (choice: DeadLetterChoice & { readonly by: string; readonly reason: string }) => Promise<object>
}

export interface ReplayWish {
  readonly stage: StageName
  /** An offset, a time (ISO 8601), an age such as 2h, `beginning` or `now`. */
  readonly from: string
  readonly to?: string | undefined
  readonly partition?: number | undefined
  readonly tenant?: string | undefined
}

export interface ReplayRow {
  readonly id: string
  readonly stage: string
  readonly state: string
  readonly what: string
  readonly done: number
  readonly total: number | null
  readonly etaMs: number | null
  readonly createdMs: number | null
  readonly cancellable: boolean
}

export interface ReplayPort {
  readonly list: () => Promise<readonly ReplayRow[]>
  /** What it would do: records, chunks that would change, tokens, cost. */
  readonly plan: (wish: ReplayWish, signal: AbortSignal) => Promise<object>
  readonly start: (wish: ReplayWish) => Promise<object>
  readonly cancel: (id: string) => Promise<object>
}

export interface Control {
  readonly pause: (target: Target, told: Told) => Promise<void>
  /** @returns whether it was paused by itself. */
  readonly resume: (target: Target) => Promise<boolean>
  readonly limit: (resource: string, wish: LimitWish, told: Told & { tenant: string }) => Promise<void>
}

export interface Sources {
  /** In memory, at once: what this instance does, and what the fleet was told. */
  readonly figures: () => object
  readonly sample: () => Sample
  readonly lag: () => Promise<readonly LagRow[]>
  readonly tenants: () => Promise<readonly TenantRow[]>
  readonly control: Control
  readonly crawls: Crawls
  readonly deadLetters: DeadLetterPort | undefined
  readonly replays: ReplayPort | undefined
  readonly jobs: Jobs
}
