/** One scenario's world: topics of its own, an empty database, two receivers, and instances that come and go. */
import { join } from 'node:path'
import { openBroker } from './broker.ts'
import type { Databases } from './database.ts'
import { createFleet } from './fleet.ts'
import { runCommand } from './instances.ts'
import { startReceivers } from './receivers.ts'
import type { LoggedWork, Receivers } from './receivers.ts'
import type { Recording } from './recording.ts'
import { DIMENSIONS, MODEL, PARTITIONS, inFlightLimits, statedApi } from './stated-api.ts'
import { createTimeline } from './timeline.ts'
import { crawlOf, tenantPerPartition } from './workload.ts'

export interface Surroundings {
  readonly brokers: string
  readonly registryUrl: string
  readonly databases: Databases
  readonly libDir: string
  /** The scenario's own: logs. */
  readonly folder: string
  readonly say: (line: string) => void
  /** To be closed when the command ends early. Safe to call after it was closed. */
  readonly onEnd: (close: () => Promise<void>) => void
}

export type Scene = Awaited<ReturnType<typeof createScene>>

/** Warm-up pages are no part of what is measured; their numbers are out of the crawls' way. */
const WARM_UP_FIRST = 900

export async function createScene(id: string, surroundings: Surroundings) {
  const cleanups: (() => Promise<unknown>)[] = []
  const close = async () => {
    for (const cleanup of cleanups.splice(0).reverse())
      await cleanup().catch((error: unknown) => surroundings.say(`  cleaning up: ${String(error)}`))
  }
  surroundings.onEnd(close)
  try {
    return await open(id, surroundings, cleanups, close)
  } catch (error) {
    await close()
    throw error
  }
}

async function open(
  id: string,
  { brokers, registryUrl, databases, libDir, folder }: Surroundings,
  cleanups: (() => Promise<unknown>)[],
  close: () => Promise<void>,
) {
  const database = await databases.open(id)
  cleanups.push(database.close)
  const receivers = await startReceivers({ databaseUrl: database.url, libDir, logDir: folder })
  cleanups.push(receivers.stop)
  const prefix = `bench-${id}.`
  const { pages, drained, close: closeBroker } = await openBroker({ brokers, registryUrl, prefix })
  cleanups.push(closeBroker)
  const environment = {
    ...{
      KAFKA_BROKERS: brokers,
      SCHEMA_REGISTRY_URL: registryUrl,
      SLUICE_TOPIC_PREFIX: prefix,
      SLUICE_DATA_DIR: folder,
    },
    ...environmentOf(receivers),
  }
  const fleet = createFleet(environment, folder)
  cleanups.push(fleet.stop)
  const timeline = createTimeline(pages.startedMs)
  const tenants = tenantPerPartition(PARTITIONS)

  return {
    ...{ tenants, receivers, fleet, timeline, drained, close, environment, publish: pages.publish },
    crawl: (count: number, first = 0, of: readonly string[] = tenants) => pages.publish(crawlOf(of, count, first)),
    /** One page a partition through all stages, so that no worker, pool or connection is cold. */
    warmUp: async () => {
      await pages.publish(crawlOf(tenants, tenants.length, WARM_UP_FIRST))
      await drained()
      pages.forget()
    },
    command: (...command: readonly string[]) => runCommand(environment, command, join(folder, 'commands.log')),
    record: async (
      of: Pick<Recording, 'title' | 'kind' | 'what' | 'instances' | 'arms' | 'failure'>,
    ): Promise<Recording> => {
      const startedMs = pages.startedMs()
      const { embeddings, postgres } = await receivers.logs()
      return {
        ...{ id, ...of, database: databases.name, startedMs, tasksOpen: null, publishedMs: pages.times() },
        ...{ events: timeline.events, outages: timeline.outages, limits: timeline.limits },
        drainedMs: of.failure === null ? lastCommit(postgres) : null,
        embeddings: embeddings.filter(({ atMs }) => atMs >= startedMs).sort((a, b) => a.atMs - b.atMs),
        postgres: postgres.filter((work) => work.startMs >= startedMs),
        pages: { published: pages.count(), stored: await database.storedPages() },
      }
    },
  }
}

const lastCommit = (postgres: readonly LoggedWork[]) =>
  Math.max(0, ...postgres.filter(({ transaction, control }) => transaction && !control).map(({ endMs }) => endMs ?? 0))

/** What an operator would set for the stated API. */
const environmentOf = ({ databaseUrl, openaiBaseUrl }: Receivers) => ({
  DATABASE_URL: databaseUrl,
  OPENAI_BASE_URL: openaiBaseUrl,
  OPENAI_API_KEY: 'bench',
  EMBEDDING_MODEL: MODEL,
  EMBEDDING_DIMENSIONS: String(DIMENSIONS),
  EMBEDDING_REQUESTS_PER_MINUTE: String(statedApi.requestsPerMinute),
  EMBEDDING_TOKENS_PER_MINUTE: String(statedApi.tokensPerMinute),
  EMBEDDING_MAX_IN_FLIGHT: String(inFlightLimits.embeddings),
  DATABASE_MAX_IN_FLIGHT: String(inFlightLimits.postgres),
  SLUICE_PARTITIONS: String(PARTITIONS),
})
