/** The invariant that nothing is lost by: Kafka's committed offsets are never ahead of what Postgres holds. */
import type { Admin } from 'kafkajs'
import { retryTopic } from '../../schemas/topics.ts'
import { stageNames, topology } from '../../streams/topology.ts'
import type { StageName } from '../../streams/topology.ts'
import { stageLag } from '../lag/offsets.ts'
import type { Services } from '../services.ts'
import { bad, ok } from './finding.ts'
import type { Check } from './finding.ts'
import { withAdmin } from './kafka-checks.ts'

export const ledgerCheck: Check = {
  name: 'committed ≤ ledger',
  needs: ['kafka', 'postgres'],
  look: async ({ services }) => {
    const ahead = await withAdmin(services, async (admin) => {
      const there = new Set(await admin.listTopics())
      // Of a topic that is missing there is nothing to compare, and kafkajs would ask for it again and again.
      const isThere = (topic: string) => there.has(services.config.topicPrefix + topic)
      const known = stageNames.filter(
        (stage) => isThere(topology[stage].from) && isThere(retryTopic(topology[stage].from)),
      )
      return (await Promise.all(known.map((stage) => aheadOfLedger(services, admin, stage)))).flat()
    })
    if (ahead.length === 0) return ok('holds for every partition')
    return bad(
      `offsets are ahead of the rows: ${ahead.join(', ')}`,
      'Postgres lost rows (a failover, a restored backup). Restart with `sluice run STAGE`: the stage goes back to its ledger by itself.',
    )
  },
}

async function aheadOfLedger({ db, config }: Services, admin: Admin, stage: StageName): Promise<string[]> {
  if (!topology[stage].ledger) return []
  const lag = await stageLag(admin, stage, config.topicPrefix)
  const rows: { topic: string; partition: number; next_offset: string | null }[] = await db('stage_offsets')
    .where({ consumer_group: config.topicPrefix + topology[stage].group })
    .select('topic', 'partition', 'next_offset')
  const ledger = new Map(rows.map((row) => [`${row.topic}/${row.partition}`, row.next_offset]))
  return lag.flatMap(({ topic, partition, committed }) => {
    const next = ledger.get(`${topic}/${partition}`)
    const isAhead = committed !== null && committed > BigInt(next ?? 0)
    return isAhead ? [`${topic}/${partition} ${committed} > ${next ?? 'no ledger'}`] : []
  })
}
