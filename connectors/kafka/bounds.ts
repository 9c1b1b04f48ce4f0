/** First and next offset of every partition of a topic. */
import { setTimeout as sleep } from 'node:timers/promises'
import kafkajs from 'kafkajs'
import type { Admin } from 'kafkajs'

export interface Bounds {
  readonly partition: number
  /** First offset that the log still holds. */
  readonly low: bigint
  /** Offset that the next record will get. */
  readonly high: bigint
}

const tails = new WeakMap<Admin, Promise<unknown>>()
const WITHIN_MS = 10_000
const AGAIN_EVERY_MS = 100

/**
 * One call at a time per client: kafkajs' fetchTopicOffsets reads the cluster's cached metadata, which is empty for a topic
 * while another call of the same client refreshes it, and then throws a TypeError. And again, on fresh metadata, while a
 * partition's leader is not (or no longer) where it was: kafkajs gives that up at once, and keeps what it cached for 5 min.
 *
 * @throws what it met last when no leader answers within 10 s; anything else at once.
 */
export function fetchBounds(admin: Admin, topic: string): Promise<Bounds[]> {
  const fetch = () => patiently(admin, topic)
  const mine = (tails.get(admin) ?? Promise.resolve()).then(fetch, fetch)
  tails.set(admin, mine)
  return mine
}

async function patiently(admin: Admin, topic: string): Promise<Bounds[]> {
  for (const endsAtMs = Date.now() + WITHIN_MS; ;) {
    try {
      const entries = await admin.fetchTopicOffsets(topic)
      return entries.map(({ partition, low, high }) => ({ partition, low: BigInt(low), high: BigInt(high) }))
    } catch (error) {
      if (!passes(error) || Date.now() >= endsAtMs) throw error
      await sleep(AGAIN_EVERY_MS)
      await refreshMetadata(admin)
    }
  }
}

const passes = (error: unknown) =>
  error instanceof TypeError ||
  (error instanceof kafkajs.KafkaJSProtocolError && error.retriable) ||
  error instanceof kafkajs.KafkaJSBrokerNotFound

/** Listing groups is the one read that refreshes kafkajs' cluster metadata whatever it holds; its own result is of no use here. */
const refreshMetadata = (admin: Admin) => admin.listGroups().catch(() => {})
