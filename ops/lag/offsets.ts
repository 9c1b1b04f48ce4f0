/** How far consumer groups are behind, by offsets. */
import type { Admin } from 'kafkajs'
import { fetchBounds } from '../../connectors/kafka/bounds.ts'
import { retryTopic } from '../../schemas/topics.ts'
import { topology } from '../../streams/topology.ts'
import type { StageName } from '../../streams/topology.ts'

export interface PartitionLag {
  readonly group: string
  readonly topic: string
  readonly partition: number
  /** Next offset to process; null: nothing committed yet. */
  readonly committed: bigint | null
  /** First offset that the log still holds, and the one that the next record will get. */
  readonly low: bigint
  readonly end: bigint
  readonly lag: bigint
}

/** Lag of a stage's group over its topic and retry topic; `partition` narrows it down to one. */
export async function stageLag(
  admin: Admin,
  stage: StageName,
  prefix: string,
  partition?: number,
): Promise<PartitionLag[]> {
  const edge = topology[stage]
  const group = prefix + edge.group
  const topics = [prefix + edge.from, prefix + retryTopic(edge.from)]
  // Ends before commits: the other way round, what is committed in between would read as negative lag.
  const ends = await Promise.all(topics.map((topic) => fetchBounds(admin, topic)))
  const committed = await admin.fetchOffsets({ groupId: group, topics })
  return topics.flatMap((topic, index) => {
    const of = committed.find((one) => one.topic === topic)?.partitions ?? []
    const offsets = new Map(of.map((one) => [one.partition, one.offset]))
    return ends[index]!.filter((entry) => partition === undefined || entry.partition === partition).map((entry) => {
      const offset = offsets.get(entry.partition)
      const next = offset === undefined || BigInt(offset) < 0n ? null : BigInt(offset)
      const end = entry.high
      const behind = end - (next ?? entry.low)
      return {
        group,
        topic,
        partition: entry.partition,
        committed: next,
        low: entry.low,
        end,
        lag: behind > 0n ? behind : 0n,
      }
    })
  })
}

export const totalLag = (rows: readonly PartitionLag[]): bigint => rows.reduce((sum, { lag }) => sum + lag, 0n)
