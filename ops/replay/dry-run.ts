/** What a replay would do, by doing it with ports that write nothing. */
import { randomUUID } from 'node:crypto'
import type { Admin } from 'kafkajs'
import type { Range } from '../../streams/runtime/replay.ts'
import type { StageName } from '../../streams/topology.ts'
import type { Services } from '../services.ts'
import { createEstimate } from './estimate.ts'
import type { ReplayFigures } from './figures.ts'
import { deleteGroup } from './group.ts'
import { createRecordCount } from './record-count.ts'
import { replayStore, startReplayStage } from './stage.ts'
import { replayGroup } from './wish.ts'

interface Options {
  readonly stage: StageName
  readonly ranges: ReadonlyMap<number, Range>
  readonly tenant: string | null
  readonly services: Services
  readonly admin: Admin
  readonly stopped: Promise<unknown>
}

/** Only the chunker's work costs something: of the others the records are counted. */
export async function dryRun({ stage, ranges, tenant, services, admin, stopped }: Options): Promise<ReplayFigures> {
  const records = createRecordCount([...ranges].map(([partition, { from }]) => ({ partition, next: from, records: 0 })))
  const estimate = createEstimate(services, replayStore(services))
  const count = () => [...ranges].reduce((sum, [partition, { to }]) => sum + records.below(partition, to), 0)
  if (ranges.size > 0) {
    const group = replayGroup(services.config.topicPrefix, stage, `dry-${randomUUID().slice(0, 8)}`)
    const failure = Promise.withResolvers<never>()
    const running = await startReplayStage({
      ...{ stage, group, ranges, tenant, services: estimate.services, leases: false, onFatal: failure.reject },
      onRecord: records.note,
      ...(stage !== 'chunker' && { instead: () => Promise.resolve({ kind: 'done', reason: 'dry-run' } as const) }),
    })
    try {
      await Promise.race([running.finished, failure.promise, stopped])
    } finally {
      await running.stop()
      await deleteGroup(admin, group)
    }
  }
  return { records: count(), ...estimate.figures() }
}
