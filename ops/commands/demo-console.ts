/** The console of `demo --keep`: open from the start, so that the crawl can be watched in it. */
import { startAdmin } from '../admin.ts'
import { prepareConsole } from '../console/start.ts'
import type { Life } from '../foreground.ts'
import { createMetrics, fleetOf } from '../metrics.ts'
import type { Pipeline, PipelineObserver } from '../pipeline.ts'
import type { Services } from '../services.ts'
import { createStatus } from '../status.ts'

export function prepareDemoConsole(services: Services, observer: PipelineObserver) {
  const { config, throttle, probes } = services
  const metrics = createMetrics(config.metrics)
  probes.add(metrics.probe)
  const operating = prepareConsole(services)
  return {
    observer: operating.observing(both(observer, metrics.observer)),
    /** @returns its address. */
    open: async ({ stages }: Pipeline, life: Life): Promise<string> => {
      const { fleet, close, ...sources } = fleetOf(services)
      life.defer('metrics', close)
      const status = createStatus(() => stages, throttle, sources)
      metrics.follow({ status, stages, fleet })
      const console = operating.open({ status, ...sources })
      const admin = await startAdmin({ ...config.admin, stages, metrics, status, console })
      life.defer('admin port', admin.close)
      return admin.url
    },
  }
}

/** Each call of an observer goes to both. */
function both(one: PipelineObserver, other: PipelineObserver): PipelineObserver {
  const names = new Set([...Object.keys(one), ...Object.keys(other)]) as Set<keyof PipelineObserver>
  const call = (name: keyof PipelineObserver, of: PipelineObserver, args: unknown[]) =>
    (of[name] as ((...args: unknown[]) => void) | undefined)?.(...args)
  return Object.fromEntries(
    [...names].map((name) => [
      name,
      (...args: unknown[]) => {
        call(name, one, args)
        call(name, other, args)
      },
    ]),
  )
}
