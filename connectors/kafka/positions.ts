/** Where a consumer group stands in its partitions, and what the log holds. */
import type { Kafka } from 'kafkajs'
import { DependencyUnavailable } from '../../streams/errors.ts'
import { partitionKey } from '../../streams/runtime/ports.ts'
import type { OffsetPositions, PositionReader, TopicPartition } from '../../streams/runtime/ports.ts'
import { fetchBounds } from './bounds.ts'

/** Reads only: `fetchOffsets` with `resolveOffsets` would WRITE the resolved ones. */
export function createPositionReader(kafka: Kafka): PositionReader {
  const admin = kafka.admin()
  const underWay = new Set<Promise<unknown>>()
  let closed = false

  async function read(group: string, partitions: readonly TopicPartition[]) {
    const topics = [...new Set(partitions.map(({ topic }) => topic))]
    const committed = await admin.fetchOffsets({ groupId: group, topics })
    const positions = new Map<string, OffsetPositions>()
    const bounds = await Promise.allSettled(topics.map((topic) => fetchBounds(admin, topic)))
    // A topic that does not answer leaves its partitions out; those of the others can be worked on.
    const failed = bounds.filter((result) => result.status === 'rejected')
    if (failed.length > 0 && failed.length === bounds.length) throw failed[0]!.reason
    for (const [index, topic] of topics.entries()) {
      const offsets = committed.find((entry) => entry.topic === topic)?.partitions ?? []
      const known = bounds[index]!
      for (const { partition, low, high } of known.status === 'fulfilled' ? known.value : []) {
        const offset = offsets.find((entry) => entry.partition === partition)?.offset
        const next = offset === undefined || BigInt(offset) < 0n ? null : BigInt(offset)
        positions.set(partitionKey({ topic, partition }), { committed: next, low, high })
      }
    }
    return positions
  }
  return {
    connect: () => admin.connect(),
    // kafkajs connects again for whatever is asked of a client that was closed, and that connection would never end.
    close: async () => {
      closed = true
      await Promise.allSettled(underWay)
      await admin.disconnect()
    },
    read: (group, partitions) => {
      if (closed) return Promise.reject(new DependencyUnavailable('kafka', 'the reader of positions is closed'))
      const reading = read(group, partitions).finally(() => underWay.delete(reading))
      underWay.add(reading)
      return reading
    },
  }
}
