/** Inputs of many pages and tenants, waiting to be sent together: what the next request would hold, and what it does. */
import type { EmbeddingInput } from '../../streams/3-chunker/chunker.ts'
import type { Lane } from '../../streams/throttle/ports.ts'
import type { TraceHeaders } from '../../streams/trace.ts'
import { createFairOrder } from './fair-order.ts'

/** One call of `embed`: a page's inputs. */
export interface Job {
  readonly tenantId: string
  readonly lane: Lane
  /** Of the page that asks. */
  readonly trace?: TraceHeaders | undefined
  readonly vectors: (string | undefined)[]
  /** Tokens billed for it so far. */
  tokens: number
  missing: number
  /** Answered, failed or aborted: its inputs still waiting are dropped. */
  settled: boolean
  readonly succeed: () => void
  readonly fail: (error: unknown) => void
}

export interface Item extends EmbeddingInput {
  readonly job: Job
  readonly position: number
  /** The larger of our count and the provider's rough one of a token per 4 bytes, which is what it refuses by. */
  readonly load: number
}

export interface Batch {
  readonly items: readonly Item[]
  /** How often it was sent before and not served. */
  readonly resends: number
  /** Its connection was cut once already. */
  readonly wasCut?: boolean
  /** Its only input was refused, and why: next a harmless text goes in its place, to see whether anything is taken. */
  readonly suspect?: string
}

export interface BatchLimits {
  readonly maxInputsPerRequest: number
  readonly maxTokensPerRequest: number
}

/** Replay's floor is a twentieth of the tokens: for 19 that live takes, it is owed one. */
const LIVE_PER_REPLAY = 19

const isWanted = ({ job }: Item): boolean => !job.settled

export const tokensOf = (items: readonly Item[]): number => items.reduce((sum, { tokens }) => sum + tokens, 0)

export function createQueue({ maxInputsPerRequest, maxTokensPerRequest }: BatchLimits) {
  const lanes = { live: createFairOrder(), replay: createFairOrder() }
  /** Batches that go before all others: sent again, or halved. */
  let again: Batch[] = []
  let sums = { inputs: 0, tokens: 0, load: 0 }
  /** Tokens that replay may have before live goes on. */
  let owed = 0

  function count(items: readonly Item[], sign: 1 | -1) {
    for (const { tokens, load } of items) {
      sums.inputs += sign
      sums.tokens += sign * tokens
      sums.load += sign * load
    }
  }

  function peek(target: number): Item | undefined {
    const live = lanes.live.peek(target)
    const replay = lanes.replay.peek(target)
    return replay && (!live || owed >= replay.tokens) ? replay : live
  }

  function take(item: Item) {
    const { lane } = item.job
    lanes[lane].take(item)
    if (lanes.replay.isEmpty()) owed = 0
    else owed = Math.max(0, owed + (lane === 'live' ? item.tokens / LIVE_PER_REPLAY : -item.tokens))
    count([item], -1)
  }

  function fill(target: number): Item[] {
    const batch: Item[] = []
    let tokens = 0
    let load = 0
    for (let item = peek(target); item; item = peek(target)) {
      load += item.load
      const fits = batch.length < maxInputsPerRequest && load <= maxTokensPerRequest && tokens < target
      if (batch.length > 0 && !fits) break
      take(item)
      batch.push(item)
      tokens += item.tokens
    }
    return batch
  }

  return {
    add: (lane: Lane, tenantId: string, items: readonly Item[]) => {
      lanes[lane].add(tenantId, items)
      count(items, 1)
    },
    putBack: (batches: readonly Batch[]) => {
      again = [...batches.filter(({ items }) => items.some(isWanted)), ...again]
    },
    dropUnwanted: () => {
      again = again.filter(({ items }) => items.some(isWanted))
      lanes.live.keep(isWanted)
      lanes.replay.keep(isWanted)
      sums = { inputs: 0, tokens: 0, load: 0 }
      count([...lanes.live.items(), ...lanes.replay.items()], 1)
    },
    isEmpty: () => sums.inputs === 0 && again.length === 0,
    /** A request's worth is there: waiting longer gains nothing. */
    isFull: (wish: number | null) =>
      again.length > 0 ||
      sums.inputs >= maxInputsPerRequest ||
      sums.load >= maxTokensPerRequest ||
      sums.tokens >= (wish ?? Infinity),
    lane: (): Lane => (lanes.live.isEmpty() && !again.some(isLive) ? 'replay' : 'live'),
    /** About how many tokens the next request would hold: the wish, or all that waits, or what a request may hold. */
    expected: (wish: number | null): number => {
      const [first] = again
      if (first) return tokensOf(first.items)
      const part = Math.min(1, maxInputsPerRequest / sums.inputs, maxTokensPerRequest / sums.load)
      return sums.inputs === 0 ? 0 : Math.ceil(Math.min(sums.tokens * part, wish ?? Infinity))
    },
    /** Inputs until `target` tokens are reached, within a request's limits; undefined: nobody waits any more. */
    take: (target: number): Batch | undefined => {
      for (let batch = again.shift(); batch; batch = again.shift()) {
        const items = batch.items.filter(isWanted)
        if (items.length > 0) return { ...batch, items }
      }
      const items = fill(target)
      return items.length > 0 ? { items, resends: 0 } : undefined
    },
    jobs: () =>
      new Set(
        [...again.flatMap(({ items }) => items), ...lanes.live.items(), ...lanes.replay.items()].map(({ job }) => job),
      ),
  }
}

export type Queue = ReturnType<typeof createQueue>

const isLive = ({ items }: Batch) => items.some(({ job }) => job.lane === 'live')
