/** Our runtime with a handler of the benchmark's own, through the one door that it has: runStage. */
import { createPositionReader } from '../../../connectors/kafka/positions.ts'
import type { PageProcessed } from '../../../schemas/generated/types.ts'
import type { Outcome, Stage } from '../../../streams/outcome.ts'
import { createDependencyWatch } from '../../../streams/runtime/dependency-watch.ts'
import type { Breaker } from '../../../streams/runtime/dependency-watch.ts'
import { partitionKey, systemClock } from '../../../streams/runtime/ports.ts'
import type { Store } from '../../../streams/runtime/ports.ts'
import { runStage } from '../../../streams/runtime/run-stage.ts'
import { createGate } from '../../../streams/throttle/gate.ts'
import { topology } from '../../../streams/topology.ts'
import type { World } from '../../testing/world.ts'
import type { Decode } from './bare-loop.ts'
import { createStopwatch } from './measured-run.ts'
import type { Run } from './measured-run.ts'

interface Options {
  readonly records: number
  readonly decode: Decode
  readonly orderKey: Stage<PageProcessed, null>['orderKey']
  readonly handle: () => Promise<Outcome>
  readonly maxInFlight: number
}

/** A ledger that answers at once: the runtime is measured, not Postgres. */
const ledger: Store = {
  claim: (_group, partitions) =>
    Promise.resolve(new Map(partitions.map((at) => [partitionKey(at), { epoch: 1n, nextOffset: null }]))),
  transact: () => Promise.resolve([]),
}
const closed: Breaker = {
  state: () => ({ kind: 'closed', sinceMs: 0, probeIsMine: false }),
  failed: () => {},
  succeeded: () => {},
  sent: () => {},
  onChange: () => () => {},
}
const noOrders = {
  isPaused: () => false,
  isTenantPaused: () => false,
  pausedTenants: () => [],
  onChange: () => () => {},
}

/** Reads the whole topic as the chunker's group, then forgets the group, so that the next run reads it all again. */
export async function runOurs(world: World, { records, decode, orderKey, handle, maxInFlight }: Options): Promise<Run> {
  const { services, admin, prefix, config } = world
  const { logger } = services
  const stopwatch = createStopwatch(records)
  const gate = createGate({ name: 'bench', clock: systemClock, budgets: [], localSlots: maxInFlight })
  const watch = createDependencyWatch({
    breakers: { kafka: closed, registry: closed, postgres: closed, embeddings: closed },
    reportedElsewhere: new Set(),
    clock: systemClock,
    logger,
    pauseMs: 1_000,
  })
  const stage = await runStage<PageProcessed, null>({
    name: 'chunker',
    stage: { orderKey, handle },
    deps: null,
    kafka: stopwatch.attach(services.kafka('bench')),
    positions: createPositionReader(services.kafka('bench-positions')),
    produce: services.producer.produce,
    codec: {
      encode: services.codec.encode,
      decode: (_topic, value) => {
        stopwatch.begin()
        return decode(value)
      },
    },
    store: ledger,
    prefix,
    settings: { ...config.kafka, ...config.runtime, writeConcurrency: () => 2 },
    gate,
    watch,
    orders: noOrders,
    clock: systemClock,
    logger,
    observer: { settled: () => stopwatch.end() },
    onFatal: (error) => {
      throw error
    },
  })
  const run = await stopwatch.finished
  await stage.stop()
  gate.close()
  watch.close()
  await admin.deleteGroups([prefix + topology.chunker.group])
  return run
}
