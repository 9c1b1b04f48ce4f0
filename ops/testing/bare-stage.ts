/** The chunker's loop over a real broker, with a handler of the test's own in place of the stage. */
import type { Kafka } from 'kafkajs'
import { createPositionReader } from '../../connectors/kafka/positions.ts'
import type { PageProcessed } from '../../schemas/generated/types.ts'
import type { InputRecord, Outcome } from '../../streams/outcome.ts'
import { createDependencyWatch } from '../../streams/runtime/dependency-watch.ts'
import { systemClock } from '../../streams/runtime/ports.ts'
import { runStage } from '../../streams/runtime/run-stage.ts'
import type { Orders, RunningStage } from '../../streams/runtime/run-stage.ts'
import type { Gate } from '../../streams/throttle/ports.ts'
import { readConfig } from '../config.ts'
import { fakeBreakers, fakeGate, fakeLogger } from './runtime-fakes.ts'
import type { World } from './world.ts'

interface Options {
  readonly handle: (record: InputRecord<PageProcessed>) => Promise<Outcome>
  readonly onFatal: (error: Error) => void
  readonly kafka?: Kafka
  readonly gate?: Gate
  readonly orders?: Partial<Orders>
  readonly replay?: Parameters<typeof runStage>[0]['replay']
}

export function startBareStage({ services, prefix }: World, options: Options): Promise<RunningStage> {
  const { handle, onFatal, kafka = services.kafka('bare'), gate = fakeGate(), orders, replay } = options
  const logger = fakeLogger()
  const { kafka: connection, runtime } = readConfig({})
  return runStage<PageProcessed, object>({
    name: 'chunker',
    stage: { orderKey: (page) => page.source_id, handle },
    deps: {},
    positions: createPositionReader(services.kafka('bare-positions')),
    produce: services.producer.produce,
    ...{ kafka, codec: services.codec, store: services.store, prefix, gate, onFatal, logger, observer: {} },
    settings: { ...connection, ...runtime, writeConcurrency: () => 1 },
    watch: createDependencyWatch({
      ...{ breakers: fakeBreakers(), reportedElsewhere: new Set(), clock: systemClock, logger, pauseMs: 500 },
    }),
    orders: {
      isPaused: () => false,
      isTenantPaused: () => false,
      pausedTenants: () => [],
      onChange: () => () => {},
      ...orders,
    },
    clock: systemClock,
    ...(replay && { replay }),
  })
}
