/** Short-lived commands: read the settings, find the services, do one thing, close everything. */
import type { Knex } from 'knex'
import { createPostgres } from '../../connectors/postgres/client.ts'
import { classifyPostgres } from '../../connectors/postgres/errors.ts'
import { readConfig } from '../config.ts'
import type { Config } from '../config.ts'
import { connected } from '../endpoints.ts'
import type { Part } from '../endpoints.ts'
import { createLogger, secretsOf } from '../logger.ts'
import { createServices } from '../services.ts'
import type { Services } from '../services.ts'
import { startTracing } from '../tracing/tracing.ts'
import { requireBroker } from './reachable.ts'

/** @throws DependencyUnavailable at once when Kafka is needed and no broker answers. */
export async function withServices<T>(needs: readonly Part[], work: (services: Services) => Promise<T>): Promise<T> {
  const services = await openTraced(needs)
  try {
    if (needs.includes('kafka')) await requireBroker(services.config.kafka.brokers)
    return await work(services)
  } finally {
    await services.close()
  }
}

/** For the doctor, which wants to see each part that is away. The caller closes them. */
export function openServices(needs: readonly Part[]): Services {
  const config = readConfig()
  return createServices(connected(config, needs), commandLogger(config))
}

/** What a command sets off begins with a span of its own. */
async function openTraced(needs: readonly Part[]): Promise<Services> {
  const config = readConfig()
  const logger = commandLogger(config)
  return createServices(connected(config, needs), logger, await startTracing(config.tracing, logger))
}

/** A command's own messages are for people; logs of its clients only when something is wrong. */
const commandLogger = (config: Config) =>
  createLogger(config.logLevel === 'info' ? 'error' : config.logLevel, {}, { secrets: secretsOf(config) })

/** Migrations may build an index for hours: no statement timeout. */
export async function withPostgres<T>(work: (db: Knex) => Promise<T>): Promise<T> {
  const config = connected(readConfig(), ['postgres'])
  const db = createPostgres({ ...config.postgres, ...unhurried }, config.embeddings.dimensions)
  try {
    return await work(db)
  } catch (error) {
    throw classifyPostgres(error)
  } finally {
    await db.destroy()
  }
}

const unhurried = { statementTimeoutMs: 0, lockTimeoutMs: 60_000, idleInTransactionTimeoutMs: 0 }
