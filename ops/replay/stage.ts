/** Starting a replay's stage: its range, its filter, and the ports through which it works. */
import { deletedTenants } from '../../connectors/postgres/replay-estimate.ts'
import { createGatedStore, createPassage } from '../../connectors/postgres/gated.ts'
import { createStore } from '../../connectors/postgres/store.ts'
import type { Alongside, KnowledgeStore } from '../../connectors/postgres/store.ts'
import type { Stage } from '../../streams/outcome.ts'
import type { Observer } from '../../streams/runtime/ports.ts'
import type { Range } from '../../streams/runtime/replay.ts'
import type { RunningStage } from '../../streams/runtime/run-stage.ts'
import type { StageName } from '../../streams/topology.ts'
import type { Connected } from '../endpoints.ts'
import { startReplay } from '../pipeline.ts'
import type { Services } from '../services.ts'

/**
 * Where no total is set, nobody can tell what live work leaves: then a replay is held by these alone. With totals it gets
 * what the others do not want of them, half at most while there are others (a live page that comes finds room at once,
 * and need not wait until a lease is given back), and the least part there is.
 */
const MODEST = { pagesInHand: 4, embeddingRequests: 2, statements: 1, pageWorkers: 1, ofBudgets: 0.5 }

export const modest = (config: Connected): Connected => ({
  ...config,
  mostOfBudgets: MODEST.ofBudgets,
  chunker: { ...config.chunker, maxInFlight: MODEST.pagesInHand },
  processor: { ...config.processor, workers: MODEST.pageWorkers },
  embeddings: { ...config.embeddings, adaptiveMaxInFlight: MODEST.embeddingRequests },
  postgres: { ...config.postgres, poolMax: MODEST.statements + config.postgres.poolSpare },
})

/** In the lane that yields, also at the database's gate and in the line for the embeddings API. */
export function replayStore({ db, throttle }: Services, alongside?: Alongside): KnowledgeStore {
  const { gates, breakers } = throttle
  const passage = createPassage({ gate: gates.database, breaker: breakers.postgres, now: Date.now, lane: 'replay' })
  return createGatedStore(createStore(db, alongside), passage)
}

export const replayServices = (services: Services, alongside?: Alongside): Services => ({
  ...services,
  store: replayStore(services, alongside),
  embeddings: {
    ...services.embeddings,
    embed: (tenantId, inputs, signal) => services.embeddings.embed(tenantId, inputs, signal, 'replay'),
  },
})

interface Options {
  readonly stage: StageName
  readonly group: string
  readonly ranges: ReadonlyMap<number, Range>
  readonly tenant: string | null
  readonly services: Services
  readonly observer?: Observer
  readonly onFatal: (error: Error) => void
  /** false: an estimate, outside of the fleet's budgets. */
  readonly leases: boolean
  /** Every record that is worked on, each time that it is. */
  readonly onRecord: (partition: number, offset: bigint) => void
  /** What is done with a record instead of the stage's own work. */
  readonly instead?: Stage<unknown, unknown>['handle']
}

export async function startReplayStage(options: Options): Promise<RunningStage> {
  const { stage, group, ranges, tenant, services, observer = {}, onFatal, leases, onRecord, instead } = options
  const deleted = await deletedTenants(services.db)
  const around = <Value, Deps>(of: Stage<Value, Deps>): Stage<Value, Deps> => ({
    ...of,
    handle: (record, deps) => {
      const [partition, offset] = record.id.split('/').slice(-2)
      onRecord(Number(partition), BigInt(offset!))
      return instead ? instead(record, deps) : of.handle(record, deps)
    },
  })
  const accepts = ({ key }: { readonly key: string | null }) =>
    (tenant === null || key === tenant) && !(key !== null && deleted.has(key))
  const range = { group, ranges, accepts }
  return startReplay(stage, { services, observer, onFatal, replay: { range, around, leases } })
}
