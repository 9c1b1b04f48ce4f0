/** All metrics of a process. Names are public: `sluice_<noun>_<unit>`; ops/docs/metrics.md lists them. */
import { Registry, collectDefaultMetrics } from 'prom-client'
import packageFile from '../package.json' with { type: 'json' }
import type { RunningStage } from '../streams/runtime/run-stage.ts'
import { createDeadLetters } from './dlq/dead-letters.ts'
import { createLagSource } from './lag/source.ts'
import { createFamilies } from './metrics/families.ts'
import type { Family } from './metrics/families.ts'
import { registerFleet } from './metrics/fleet.ts'
import type { FleetSources } from './metrics/fleet.ts'
import { registerPartitions } from './metrics/partitions.ts'
import { createScrape } from './metrics/scrape.ts'
import { registerThrottle } from './metrics/throttle.ts'
import { registerWork } from './metrics/work.ts'
import type { MetricsSettings } from './metrics/work.ts'
import type { PipelineObserver } from './pipeline.ts'
import type { Probe } from './probes.ts'
import type { Services } from './services.ts'
import type { Status } from './status.ts'

export interface Followed {
  readonly status?: Status
  readonly stages?: readonly RunningStage[]
  readonly fleet?: FleetSources
}

export interface Metrics {
  readonly observer: PipelineObserver
  /** For `services.probes`. */
  readonly probe: Probe
  /** Prometheus' text format. Asks the broker and Postgres, for 2 s at most. */
  readonly text: () => Promise<string>
  readonly contentType: string
  /** From now on what the throttle does, how far the stages are, and how the fleet is doing is told too. */
  readonly follow: (followed: Followed) => void
  /** The process has begun to drain. */
  readonly draining: () => void
  readonly families: () => readonly Family[]
}

interface Options {
  readonly now?: () => number
  readonly scrapeDeadlineMs?: number
}

const namingNobody: MetricsSettings = { tenants: [], topTenants: 0 }

export function createMetrics(settings = namingNobody, { now = Date.now, scrapeDeadlineMs }: Options = {}): Metrics {
  const registry = new Registry()
  // At its default of 10 ms the monitor of the event loop wakes an idle process 100 times a second: a third of its CPU.
  collectDefaultMetrics({ register: registry, prefix: 'sluice_process_', eventLoopMonitoringPrecision: 100 })
  const families = createFamilies(registry)
  let followed: Followed = {}
  let drainingSinceMs: number | undefined

  const { observer, probe } = registerWork(families, settings, now)
  registerThrottle(families, () => followed.status)
  registerPartitions(families, () => followed.stages ?? [], now)
  const scrapeErrors = families.counter({
    name: 'scrape_errors',
    unit: 'scrapes',
    help: 'Scrapes that a source did not answer in time; its gauges were absent.',
    labels: ['source'],
  })
  const scrape = createScrape((source) => scrapeErrors.inc({ source }), { deadlineMs: scrapeDeadlineMs, now })
  registerFleet(families, scrape, () => followed.fleet)
  families.gauge(
    {
      name: 'drain_age_seconds',
      unit: 'seconds',
      help: 'Since this process began to drain; absent: it does not.',
    },
    (set) => {
      if (drainingSinceMs !== undefined) set({}, (now() - drainingSinceMs) / 1000)
    },
  )
  families.gauge({ name: 'build_info', unit: '1', help: 'Which version runs.', labels: ['version'] }, (set) =>
    set({ version: packageFile.version }, 1),
  )
  return {
    contentType: registry.contentType,
    text: async () => {
      await scrape.refresh()
      return registry.metrics()
    },
    follow: (more) => void (followed = { ...followed, ...more }),
    draining: () => void (drainingSinceMs ??= now()),
    families: families.list,
    observer: {
      ...observer,
      settled: (...settled) => {
        followed.status?.settled(settled[0])
        observer.settled?.(...settled)
      },
    },
    probe,
  }
}

/** What `follow` takes of a process' services; `close` ends the clients that ask for it. */
export function fleetOf(services: Services) {
  const lag = createLagSource(services)
  const deadLetters = createDeadLetters(services)
  return {
    fleet: { lag: lag.rows, deadLetters: deadLetters.summary, db: services.db } satisfies FleetSources,
    /** For the console. */
    ...{ lag, deadLetters },
    close: async () => {
      await Promise.allSettled([lag.close(), deadLetters.close()])
    },
  }
}
