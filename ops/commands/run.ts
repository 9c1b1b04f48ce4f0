import type { StageName } from '../../streams/topology.ts'
import { UserError } from '../../streams/errors.ts'
import { startAdmin } from '../admin.ts'
import { readConfig } from '../config.ts'
import { connected } from '../endpoints.ts'
import { foreground } from '../foreground.ts'
import { createLogger } from '../logger.ts'
import { createMetrics } from '../metrics.ts'
import { startPipeline } from '../pipeline.ts'
import { createStatus } from '../status.ts'
import { createServices } from '../services.ts'

/** `sluice run STAGE…`: nothing embedded, nothing migrated; missing topics are an error that names the command. */
export function run(names: readonly StageName[]): Promise<never> {
  const config = readConfig()
  const logger = createLogger(config.logLevel, { stages: names.join(',') })
  return foreground(
    async (life) => {
      const services = createServices(connected(config, ['kafka', 'registry', 'postgres', 'embeddings']), logger)
      life.defer('connections', services.close)
      const missing = (await services.applyTopics(false)).filter(({ state }) => state === 'missing')
      if (missing.length > 0)
        throw new UserError(
          `topics are missing: ${missing.map(({ name }) => name).join(', ')}`,
          'Run `sluice topics apply`.',
        )
      const metrics = createMetrics()
      const pipeline = await startPipeline(names, { services, observer: metrics.observer, onFatal: life.fail })
      life.defer('stages', async () => {
        if (!(await pipeline.stop())) process.exitCode = 1
      })
      const status = createStatus(() => pipeline.stages, services.throttle)
      metrics.follow(status)
      const admin = await startAdmin({ ...config.admin, stages: pipeline.stages, metrics, status })
      life.defer('admin port', admin.close)
      logger.info({ adminPort: admin.port }, 'running')
      await life.stopped
    },
    { codeOnSignal: 0 },
  )
}
