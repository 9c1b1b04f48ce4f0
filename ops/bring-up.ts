/** From settings to a running system: embedded parts for what is not configured, tables, topics, schemas. */
import { join } from 'node:path'
import { createPostgres } from '../connectors/postgres/client.ts'
import { migrateUp } from '../connectors/postgres/migrate.ts'
import type { Logger } from '../streams/runtime/ports.ts'
import type { Config } from './config.ts'
import { startStack } from './embedded/stack.ts'
import type { PartProgress } from './embedded/stack.ts'
import { embeddedParts, withEndpoints } from './endpoints.ts'
import type { Connected } from './endpoints.ts'
import type { Life } from './foreground.ts'
import { createServices } from './services.ts'
import type { Services } from './services.ts'
import { startTracing } from './tracing/tracing.ts'

export interface BringUpReport {
  readonly part: (progress: PartProgress) => void
  readonly step: (what: string, detail: string, ms: number) => void
}

export async function bringUp(config: Config, life: Life, logger: Logger, report: BringUpReport): Promise<Services> {
  const connected = await startParts(config, life, report)
  const services = createServices(connected, logger, await startTracing(config.tracing, logger))
  life.defer('connections', services.close)
  await timed(report, 'database', async () => {
    const applied = await migrate(connected)
    return applied.length > 0 ? `${applied.length} migrations applied` : 'up to date'
  })
  await timed(report, 'topics', async () => {
    const topics = await services.applyTopics()
    await services.codec.register()
    return `${topics.length} topics, schemas registered FULL_TRANSITIVE`
  })
  return services
}

async function startParts(config: Config, life: Life, report: BringUpReport): Promise<Connected> {
  const parts = embeddedParts(config)
  if (parts.length === 0) return withEndpoints(config, {})
  const stack = await startStack({
    dataDir: config.dataDir,
    libDir: config.libDir,
    parts,
    onProgress: report.part,
  })
  life.defer('embedded parts', stack.stop)
  stack.failed.catch((error: Error) => life.fail(error))
  return withEndpoints(config, stack.endpoints)
}

async function migrate({ postgres, embeddings }: Connected): Promise<string[]> {
  const db = createPostgres({ ...postgres, statementTimeoutMs: 0 }, embeddings.dimensions)
  try {
    return await migrateUp(db)
  } finally {
    await db.destroy()
  }
}

async function timed(report: BringUpReport, what: string, work: () => Promise<string>): Promise<void> {
  const startedMs = Date.now()
  const detail = await work()
  report.step(what, detail, Date.now() - startedMs)
}

/** The demo's data is its own and thrown away; downloads are shared. */
export const demoDataDir = (config: Config) => join(config.dataDir, 'demo')
