/** Who shares the stages' consumer groups: a stranger in one takes partitions, and their pages reach no stage. */
import kafkajs from 'kafkajs'
import type { MemberDescription } from 'kafkajs'
import { retryTopic } from '../../schemas/topics.ts'
import { stageNames, topology } from '../../streams/topology.ts'
import { bad, ok } from './finding.ts'
import type { Check } from './finding.ts'
import { withAdmin } from './kafka-checks.ts'

/** Client ids of this program, as createServices makes them. */
const OWN = /^sluice-/

export const groupsCheck: Check = {
  name: 'consumer groups',
  needs: ['kafka'],
  look: async ({ services }) => {
    const { topicPrefix } = services.config
    const stages = new Map(stageNames.map((stage) => [topicPrefix + topology[stage].group, topology[stage].from]))
    const { groups } = await withAdmin(services, (admin) => admin.describeGroups([...stages.keys()]))
    const foreign = groups.flatMap(({ groupId, members }) => {
      const from = stages.get(groupId)!
      const topics = [from, retryTopic(from)].map((topic) => topicPrefix + topic)
      return members.flatMap((member) => strangeness(member, topics).map((what) => `${groupId}: ${what}`))
    })
    if (foreign.length > 0)
      return bad(
        foreign.join('; '),
        'Give that consumer a group.id of its own, or end it: pages of its partitions reach no stage. `sluice lag` shows where they wait.',
      )
    const members = groups.reduce((sum, group) => sum + group.members.length, 0)
    return ok(`${members} member(s), all of them stages`)
  },
}

function strangeness({ clientId, clientHost, memberMetadata }: MemberDescription, topics: readonly string[]): string[] {
  const who = `client ${clientId} at ${clientHost}`
  if (!OWN.test(clientId)) return [`${who} is no stage of ours`]
  const other = subscribed(memberMetadata).filter((topic) => !topics.includes(topic))
  return other.length > 0 ? [`${who} subscribes to ${other.join(', ')} there`] : []
}

/** Empty while the group rebalances: nothing can be said then. */
const subscribed = (metadata: Buffer): readonly string[] =>
  metadata.length === 0 ? [] : (kafkajs.AssignerProtocol.MemberMetadata.decode(metadata)?.topics ?? [])
