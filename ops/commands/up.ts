import { stageNames } from '../../streams/topology.ts'
import { startAdmin } from '../admin.ts'
import { bringUp } from '../bring-up.ts'
import { readConfig } from '../config.ts'
import { prepareConsole } from '../console/start.ts'
import { foreground } from '../foreground.ts'
import { createLogger, secretsOf } from '../logger.ts'
import { createMetrics, fleetOf } from '../metrics.ts'
import { startPipeline } from '../pipeline.ts'
import { createStatus } from '../status.ts'
import { paint, note } from './output.ts'
import { startupReport } from './startup-report.ts'

/** `sluice up`: everything in this process and its children, until Ctrl-C. */
export function up(): Promise<never> {
  const config = readConfig()
  return foreground(
    async (life) => {
      const logger = createLogger(config.logLevel, {}, { secrets: secretsOf(config) })
      const services = await bringUp(config, life, logger, startupReport())
      const metrics = createMetrics(config.metrics)
      services.probes.add(metrics.probe)
      const { fleet, close, ...sources } = fleetOf(services)
      life.defer('metrics', close)
      const operating = prepareConsole(services)
      // Open while the stages drain: /readyz says that they do, the metrics for how long.
      let closeAdmin = async () => {}
      let endJobs = async () => {}
      life.defer('admin port', () => closeAdmin())
      const pipeline = await startPipeline(stageNames, {
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
      note(`${paint('green', 'up')}: crawler, processor and chunker run; console: ${admin.url}; Ctrl-C ends.`)
      note('In another terminal:')
      note('  npx sluice crawl --tenant acme https://example.com/ --wait')
      note('  npx sluice search --tenant acme "your question"')
      await life.stopped
    },
    { codeOnSignal: 0 },
  )
}
