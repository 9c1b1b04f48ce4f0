/** Who owns which partition of a consumer group, as its coordinator knows it. */
import kafkajs from 'kafkajs'
import type { Admin } from 'kafkajs'
import { partitionKey } from '../../streams/runtime/ports.ts'
import type { TopicPartition } from '../../streams/runtime/ports.ts'

export interface GroupMembers {
  /** unknown: partitions are being given out anew at this moment. */
  readonly ownerOf: (at: TopicPartition) => 'live' | 'none' | 'unknown'
}

/** A group that was never used has no members. @throws kafkajs' errors */
export async function readGroupMembers(admin: Admin, groups: readonly string[]): Promise<Map<string, GroupMembers>> {
  const described = await admin.describeGroups([...groups])
  return new Map(
    described.groups.map(({ groupId, state, members }) => {
      const owned = new Set(members.flatMap(({ memberAssignment }) => partitionsOf(memberAssignment).map(partitionKey)))
      const isSettled = state === 'Stable' || state === 'Empty' || state === 'Dead'
      return [groupId, { ownerOf: (at) => (owned.has(partitionKey(at)) ? 'live' : isSettled ? 'none' : 'unknown') }]
    }),
  )
}

function partitionsOf(memberAssignment: Buffer): TopicPartition[] {
  const decoded = kafkajs.AssignerProtocol.MemberAssignment.decode(memberAssignment)
  const assignment = (decoded?.assignment ?? {}) as Readonly<Record<string, readonly number[]>>
  return Object.entries(assignment).flatMap(([topic, list]) => list.map((partition) => ({ topic, partition })))
}
