/** How many dead letters are open and how old, for metrics and the console: asked often, so only what is new is read. */
import type { Kafka } from 'kafkajs'
import { fetchBounds } from '../../connectors/kafka/bounds.ts'
import type { Bounds } from '../../connectors/kafka/bounds.ts'
import type { DeadLetterActions } from '../../connectors/postgres/dead-letter-actions.ts'
import { consumedTopics, deadLetterTopic } from '../../schemas/topics.ts'
import type { ConsumedTopic } from '../../schemas/topics.ts'
import type { Clock } from '../../streams/runtime/ports.ts'
import { readLetter } from './letter.ts'
import { scan } from './scan.ts'
import type { SummaryRow } from './types.ts'
import { withAdmin } from './walk.ts'

const CACHED_MS = 15_000
/** Open letters known of a topic, about 200 bytes each. What comes after them is counted by offsets alone. */
const MAX_OPEN = 100_000
/** Rows of a transaction that was under way at the last look carry a time before it. */
const OVERLAP_MS = 60_000

interface Known {
  readonly tenant: string
  readonly code: string
  readonly deadSinceMs: number
  readonly partition: number
  readonly offset: bigint
}

interface TopicState {
  /** By origin: a second copy is the same letter. */
  readonly known: Map<string, Known>
  /** Of letters that are done; they leave with their records. */
  readonly done: Set<string>
  /** Next offset to read, by partition. */
  readonly next: Map<number, bigint>
  doneSinceMs: number
}

interface Dependencies {
  readonly kafka: Kafka
  readonly prefix: string
  readonly actions: DeadLetterActions
}

export function createOpenLetters({ kafka, prefix, actions }: Dependencies, clock: Clock) {
  const states = new Map<ConsumedTopic, TopicState>()
  const closing = new AbortController()
  let cached: { readonly atMs: number; readonly rows: Promise<readonly SummaryRow[]> } | undefined

  async function refresh(name: ConsumedTopic, bounds: readonly Bounds[]): Promise<TopicState> {
    const topic = prefix + deadLetterTopic(name)
    const isAnew = bounds.some(({ partition, high }) => high < (states.get(name)?.next.get(partition) ?? 0n))
    const state = (!isAnew && states.get(name)) || {
      known: new Map(),
      done: new Set(),
      next: new Map(),
      doneSinceMs: 0,
    }
    states.set(name, state)
    forgetExpired(state, bounds)
    const ranges = bounds.map(({ partition, low, high }) => {
      const next = state.next.get(partition) ?? low
      return { partition, from: next > low ? next : low, to: hasRoom(state) ? high : next }
    })
    await scan({
      ...{ kafka, topic, ranges, signal: closing.signal },
      onBatch: (records) => {
        for (const record of records) {
          const { key, tenant, code, deadSinceMs } = readLetter(topic, record)
          const { partition, offset } = record
          if (!state.known.has(key)) state.known.set(key, { tenant, code, deadSinceMs, partition, offset })
          state.next.set(partition, offset + 1n)
        }
        return Promise.resolve(hasRoom(state))
      },
    })
    const { keys, nowMs } = await actions.doneSince(topic, Math.max(0, state.doneSinceMs - OVERLAP_MS))
    for (const key of keys) if (state.known.has(key)) state.done.add(key)
    // Letters that are not read yet may be done already: they are asked for again once they are.
    if (unreadOf(state, bounds) === 0n) state.doneSinceMs = nowMs
    return state
  }

  async function count(): Promise<readonly SummaryRow[]> {
    const bounds = await withAdmin(kafka, async (admin) => {
      const all = new Map<ConsumedTopic, Bounds[]>()
      for (const name of consumedTopics) all.set(name, await fetchBounds(admin, prefix + deadLetterTopic(name)))
      return all
    })
    const rows: SummaryRow[] = []
    for (const [name, of] of bounds) rows.push(...rowsOf(name, await refresh(name, of), of, clock.now()))
    return rows
  }

  const forget = () => void (cached = undefined)
  return {
    summary: (): Promise<readonly SummaryRow[]> => {
      if (cached && clock.now() - cached.atMs < CACHED_MS) return cached.rows
      const rows = count()
      cached = { atMs: clock.now(), rows }
      // What failed is asked again at the next call.
      rows.catch(forget)
      return rows
    },
    /** Something was decided: the next summary looks anew. */
    forget,
    close: () => {
      closing.abort()
      return (cached?.rows ?? Promise.resolve()).then(
        () => {},
        () => {},
      )
    },
  }
}

const hasRoom = ({ known, done }: TopicState) => known.size - done.size < MAX_OPEN

const unreadOf = ({ next }: TopicState, bounds: readonly Bounds[]): bigint =>
  bounds.reduce((sum, { partition, low, high }) => {
    const from = next.get(partition) ?? low
    return sum + high - (from > low ? from : low)
  }, 0n)

function forgetExpired(state: TopicState, bounds: readonly Bounds[]): void {
  const lows = new Map(bounds.map(({ partition, low }) => [partition, low]))
  for (const [key, { partition, offset }] of state.known)
    if (offset < (lows.get(partition) ?? 0n)) {
      state.known.delete(key)
      state.done.delete(key)
    }
}

function rowsOf(topic: ConsumedTopic, state: TopicState, bounds: readonly Bounds[], nowMs: number): SummaryRow[] {
  const groups = new Map<string, { tenant: string; code: string; open: number; oldestMs: number }>()
  for (const [key, { tenant, code, deadSinceMs }] of state.known) {
    if (state.done.has(key)) continue
    const name = JSON.stringify([tenant, code])
    const group = groups.get(name) ?? { tenant, code, open: 0, oldestMs: deadSinceMs }
    group.open += 1
    group.oldestMs = Math.min(group.oldestMs, deadSinceMs)
    groups.set(name, group)
  }
  const rows = [...groups.values()].map(({ oldestMs, ...group }) => ({
    ...{ topic, ...group },
    oldestAgeSeconds: Math.max(0, nowMs - oldestMs) / 1000,
  }))
  const unread = unreadOf(state, bounds)
  return unread > 0n
    ? [...rows, { topic, tenant: '', code: 'unread', open: Number(unread), oldestAgeSeconds: 0 }]
    : rows
}
