import type { StageName } from '../../streams/topology.ts'
import { UserError } from '../../streams/errors.ts'
import { startAdmin } from '../admin.ts'
import { readConfig } from '../config.ts'
import { prepareConsole } from '../console/start.ts'
import { connected } from '../endpoints.ts'
import { foreground } from '../foreground.ts'
import { createLogger, secretsOf } from '../logger.ts'
import { createMetrics, fleetOf } from '../metrics.ts'
import { startPipeline } from '../pipeline.ts'
import { createStatus } from '../status.ts'
import { createServices } from '../services.ts'
import { startTracing } from '../tracing/tracing.ts'

/** `sluice run STAGE…`: nothing embedded, nothing migrated; missing topics are an error that names the command. */
export function run(names: readonly StageName[]): Promise<never> {
  const config = readConfig()
  const logger = createLogger(config.logLevel, { stages: names.join(',') }, { secrets: secretsOf(config) })
  return foreground(
    async (life) => {
      const services = createServices(
        connected(config, ['kafka', 'registry', 'postgres', 'embeddings']),
        logger,
        await startTracing(config.tracing, logger),
      )
      life.defer('connections', services.close)
      const missing = (await services.applyTopics(false)).filter(({ state }) => state === 'missing')
      if (missing.length > 0)
        throw new UserError(
          `topics are missing: ${missing.map(({ name }) => name).join(', ')}`,
          'Run `sluice topics apply`.',
        )
      const metrics = createMetrics(config.metrics)
      services.probes.add(metrics.probe)
      const { fleet, close, ...sources } = fleetOf(services)
      life.defer('metrics', close)
      const operating = prepareConsole(services)
      // Open while the stages drain: /readyz says that they do, the metrics for how long.
      let closeAdmin = async () => {}
      let endJobs = async () => {}
      life.defer('admin port', () => closeAdmin())
      const pipeline = await startPipeline(names, {
        services,
        observer: operating.observing(metrics.observer),
        onFatal: life.fail,
      })
      life.defer('stages', async () => {
        metrics.draining()
        const [drained] = await Promise.all([pipeline.stop(), endJobs()])
        if (!drained) process.exitCode = 1
      })
      const status = createStatus(() => pipeline.stages, services.throttle, sources)
      metrics.follow({ status, stages: pipeline.stages, fleet })
      const console = operating.open({ status, ...sources })
      const admin = await startAdmin({ ...config.admin, stages: pipeline.stages, metrics, status, console })
      closeAdmin = admin.close
      endJobs = console.endJobs
      logger.info({ adminPort: admin.port }, 'running')
      await life.stopped
    },
    { codeOnSignal: 0 },
  )
}
