/** Where a consumer group stands in its partitions, and what the log holds. */
import type { Kafka } from 'kafkajs'
import { partitionKey } from '../../streams/runtime/ports.ts'
import type { OffsetPositions, PositionReader, TopicPartition } from '../../streams/runtime/ports.ts'
import { fetchBounds } from './bounds.ts'

/** Reads only: `fetchOffsets` with `resolveOffsets` would WRITE the resolved ones. */
export function createPositionReader(kafka: Kafka): PositionReader {
  const admin = kafka.admin()
  return {
    connect: () => admin.connect(),
    close: () => admin.disconnect(),
    read: async (group: string, partitions: readonly TopicPartition[]) => {
      const topics = [...new Set(partitions.map(({ topic }) => topic))]
      const committed = await admin.fetchOffsets({ groupId: group, topics })
      const positions = new Map<string, OffsetPositions>()
      for (const topic of topics) {
        const offsets = committed.find((entry) => entry.topic === topic)?.partitions ?? []
        for (const { partition, low, high } of await fetchBounds(admin, topic)) {
          const offset = offsets.find((entry) => entry.partition === partition)?.offset
          const next = offset === undefined || BigInt(offset) < 0n ? null : BigInt(offset)
          positions.set(partitionKey({ topic, partition }), { committed: next, low, high })
        }
      }
      return positions
    },
  }
}
