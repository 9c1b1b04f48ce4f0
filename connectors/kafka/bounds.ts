/** First and next offset of every partition of a topic. */
import type { Admin } from 'kafkajs'

export interface Bounds {
  readonly partition: number
  /** First offset that the log still holds. */
  readonly low: bigint
  /** Offset that the next record will get. */
  readonly high: bigint
}

const tails = new WeakMap<Admin, Promise<unknown>>()
const TRIES = 5

/**
 * One call at a time per client, and again when it fails on itself: kafkajs' fetchTopicOffsets reads the cluster's cached
 * metadata, which is empty for a topic while another call of the same client refreshes it, and then throws a TypeError.
 */
export function fetchBounds(admin: Admin, topic: string): Promise<Bounds[]> {
  const fetch = () => patiently(admin, topic)
  const mine = (tails.get(admin) ?? Promise.resolve()).then(fetch, fetch)
  tails.set(admin, mine)
  return mine
}

async function patiently(admin: Admin, topic: string): Promise<Bounds[]> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const entries = await admin.fetchTopicOffsets(topic)
      return entries.map(({ partition, low, high }) => ({ partition, low: BigInt(low), high: BigInt(high) }))
    } catch (error) {
      if (!(error instanceof TypeError) || attempt === TRIES) throw error
      await admin.fetchTopicMetadata({ topics: [topic] })
    }
  }
}
