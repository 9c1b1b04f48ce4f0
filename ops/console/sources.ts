/** From this project's parts to what the console shows: the one place where the console's ports are plugged in. */
import type { Services } from '../services.ts'
import type { DeadLetters } from '../dlq/dead-letters.ts'
import type { LagSource } from '../lag/source.ts'
import type { Status } from '../status.ts'
import { requirePartition, pauseTarget, resumeTarget, setLimits } from '../operator.ts'
import { wishedLimits } from '../commands/control-limits.ts'
import { createCrawls } from './crawls.ts'
import { createDeadLetterPort } from './dead-letters.ts'
import { createJobs } from './jobs.ts'
import type { Control, Sources } from './ports.ts'
import { createReplayPort } from './replays.ts'
import { createSampler } from './sample.ts'
import type { TenantMeter } from './tenant-meter.ts'

interface Dependencies {
  readonly services: Services
  readonly status: Status
  readonly tenants: TenantMeter
  readonly lag: LagSource
  readonly deadLetters: DeadLetters
}

export function createSources({ services, status, tenants, lag, deadLetters }: Dependencies): Sources {
  const { throttle } = services
  const sampler = createSampler(status, services.embeddingUsage, Date.now)
  const crawls = createCrawls(services)
  const jobs = createJobs()
  return {
    figures: () => ({
      ...{
        nowMs: Date.now(),
        instance: throttle.control.instance.slice(0, 8),
        usage: sampler.usage(),
        jobs: jobs.list(),
      },
      stages: status.stages().map(({ partitions, ...stage }) => ({
        ...stage,
        partitions: partitions.length,
        inFlight: partitions.reduce((sum, { inFlight }) => sum + inFlight, 0),
      })),
      ...status.throttle(),
    }),
    sample: sampler.take,
    lag: lag.rows,
    tenants: async () => {
      const work = await crawls.perTenant()
      const figures = tenants.figures()
      const seen = new Set(figures.map(({ tenant }) => tenant))
      const { pauses, limits } = throttle.figures()
      const named = [...work.keys(), ...[...pauses, ...limits].map(({ tenant }) => tenant)]
      const silent = [...new Set(named)].filter((tenant) => tenant !== '' && !seen.has(tenant))
      const idle = { perSecond: {}, failures: 0, lastSeenMs: null }
      return [...figures, ...silent.map((tenant) => ({ tenant, ...idle }))].map((row) => ({
        ...row,
        runningCrawls: work.get(row.tenant)?.running ?? 0,
        pendingUrls: work.get(row.tenant)?.pending ?? 0,
      }))
    },
    control: createControl(services),
    crawls,
    deadLetters: createDeadLetterPort(deadLetters, jobs),
    replays: createReplayPort(services, jobs),
    jobs,
  }
}

function createControl({ throttle, kafka, config, producer }: Services): Control {
  const channel = throttle.control
  return {
    pause: async (target, told) => {
      await requirePartition(kafka('console'), config.topicPrefix, target)
      await producer.connect()
      await pauseTarget(channel, target, told)
    },
    resume: (target) => resumeTarget(channel, target),
    limit: (resource, wish, { tenant, ...told }) =>
      setLimits(channel, wishedLimits(resource, wish, tenant), tenant, told),
  }
}
