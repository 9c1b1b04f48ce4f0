/** The console of a process that runs stages: it listens from their start, and is opened behind the admin port. */
import { systemClock } from '../../streams/runtime/ports.ts'
import type { DeadLetters } from '../dlq/dead-letters.ts'
import type { LagSource } from '../lag/source.ts'
import type { PipelineObserver } from '../pipeline.ts'
import type { Services } from '../services.ts'
import type { Status } from '../status.ts'
import { createConsole } from './console.ts'
import type { Console } from './console.ts'
import { createSources } from './sources.ts'
import { createTenantMeter } from './tenant-meter.ts'

export interface ConsoleStart {
  /** For the pipeline: what it tells is told to `observer` too. */
  readonly observing: (observer: PipelineObserver) => PipelineObserver
  readonly open: (parts: {
    readonly status: Status
    readonly lag: LagSource
    readonly deadLetters: DeadLetters
  }) => Console
}

export function prepareConsole(services: Services): ConsoleStart {
  const tenants = createTenantMeter(systemClock)
  const { config, logger } = services
  return {
    observing: (observer) => ({
      ...observer,
      settled: (stage, outcome, detail) => {
        tenants.settled(stage, outcome, detail)
        observer.settled?.(stage, outcome, detail)
      },
    }),
    open: (parts) =>
      createConsole({
        sources: createSources({ services, tenants, ...parts }),
        token: config.admin.token,
        clock: systemClock,
        logger,
      }),
  }
}
