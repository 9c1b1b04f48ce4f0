/** Dead letters as commands, the console and the metrics see them. */
import type { ConsumedTopic } from '../../schemas/topics.ts'
import type { Origin } from '../../streams/runtime/headers.ts'

/** Where a dead letter stands in its `.dlq` topic. */
export interface Position {
  readonly partition: number
  readonly offset: bigint
}

export interface DeadLetterFilter {
  /** The logical topic whose `.dlq` is meant. */
  readonly topic: ConsumedTopic
  /** Only these; none given: all. */
  readonly at?: readonly Position[] | undefined
  readonly tenant?: string | undefined
  /** An error code such as `undecodable`. */
  readonly code?: string | undefined
  /** Became a dead letter at or after this moment, milliseconds since the epoch. */
  readonly sinceMs?: number | undefined
}

/** open: nobody has decided; under way: a redrive holds it, or was killed holding it. */
export type LetterState = 'open' | 'under way' | 'redriven' | 'discarded'

export interface Action {
  readonly state: Exclude<LetterState, 'open'>
  readonly reason: string
  readonly actor: string
  readonly atMs: number
}

export interface DeadLetter {
  readonly topic: ConsumedTopic
  readonly partition: number
  readonly offset: string
  /** The record's key; '' when it has none. Every text here came from outside: escape it before it is shown. */
  readonly tenant: string
  readonly code: string
  readonly message: string
  /** Attempts made in the last cycle. */
  readonly attempts: number
  /** Times it was redriven before it became this dead letter. */
  readonly cycle: number
  readonly origin: Origin
  /** Of the last cycle, milliseconds since the epoch. */
  readonly firstFailureMs: number
  /** When it became a dead letter. */
  readonly deadSinceMs: number
  readonly bytes: number
  readonly state: LetterState
  /** What was decided, by whom; null while open. */
  readonly action: Action | null
  readonly value: Preview
}

/** What there is to see of a value; bounded whatever its size. */
export type Preview =
  | { readonly kind: 'decoded'; readonly value: unknown }
  | { readonly kind: 'text' | 'hex'; readonly value: string; readonly why: string }
  | { readonly kind: 'empty' }

export interface Listing {
  /** Newest first, at most `limit`. */
  readonly letters: readonly DeadLetter[]
  /** How many match in all. */
  readonly matching: number
}

export interface RedriveOptions {
  /** Records a second; default 10. */
  readonly ratePerSecond?: number | undefined
  /** A letter that was redriven this often is refused; default 3. */
  readonly maxCycles?: number | undefined
  /** Counts what would be done and does nothing. */
  readonly dryRun?: boolean | undefined
  /** Who asked, for the record. */
  readonly actor: string
  readonly onProgress?: ((redriven: number) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

export interface Refusal {
  readonly at: string
  readonly reason: string
}

export interface RedriveReport {
  /** Produced to the topic; with `dryRun`, what would be. */
  readonly redriven: number
  /** How many of those there are a code. */
  readonly byCode: Readonly<Record<string, number>>
  /** Redriven or discarded before, or a second copy of one that was. */
  readonly alreadyDone: number
  readonly refused: number
  /** The first 100 of them. */
  readonly refusals: readonly Refusal[]
}

export interface DiscardReport {
  readonly discarded: number
  readonly byCode: Readonly<Record<string, number>>
  readonly alreadyDone: number
  readonly refused: number
  readonly refusals: readonly Refusal[]
}

export interface SummaryRow {
  readonly topic: ConsumedTopic
  readonly tenant: string
  /** `unread`: past the first 100,000 of a topic, counted by offsets alone. */
  readonly code: string
  readonly open: number
  readonly oldestAgeSeconds: number
}

export interface DeadLetters {
  /** @throws DependencyUnavailable when the log does not answer in time. */
  readonly list: (filter: DeadLetterFilter & { readonly limit?: number; readonly all?: boolean }) => Promise<Listing>
  /** @throws UserError: there is no record. */
  readonly show: (topic: ConsumedTopic, at: Position) => Promise<DeadLetter>
  /** Each open letter once, whoever else redrives at the same time; see ops/docs/dead-letters.md for what that means. */
  readonly redrive: (filter: DeadLetterFilter, options: RedriveOptions) => Promise<RedriveReport>
  readonly discard: (
    filter: DeadLetterFilter,
    options: { readonly reason: string; readonly actor: string; readonly dryRun?: boolean },
  ) => Promise<DiscardReport>
  /** Open letters, over all topics; at most 15 s old, and cheap: a second call reads only what is new. */
  readonly summary: () => Promise<readonly SummaryRow[]>
  readonly close: () => Promise<void>
}
