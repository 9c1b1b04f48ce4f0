/** Kafka itself, the topics as declared, and the times in their records. */
import type { Admin } from 'kafkajs'
import { fetchBounds } from '../../connectors/kafka/bounds.ts'
import { createKafka } from '../../connectors/kafka/client.ts'
import type { TopicReport } from '../../connectors/kafka/topics.ts'
import { errorMessage } from '../../streams/errors.ts'
import { canConnect, requireBroker } from '../commands/reachable.ts'
import type { Services } from '../services.ts'
import { bad, ok } from './finding.ts'
import type { Check, Found } from './finding.ts'

/** Versions default to the record's time: a page from a clock this far ahead wins over newer ones for as long. */
const MAX_AHEAD_MS = 60_000

export const kafkaCheck: Check = {
  name: 'kafka',
  look: async ({ services: { config } }) => {
    const { brokers } = config.kafka
    await requireBroker(brokers)
    const elsewhere = Promise.withResolvers<Found>()
    // kafkajs goes from the address that it was given to those that it is told, and tries one that is closed for longer
    // than anybody waits here. Its log is where the first failure can be seen.
    const warn = (details: { readonly broker?: string }, message = '') => {
      if (details.broker !== undefined && !brokers.includes(details.broker))
        elsewhere.resolve(unreachable(details.broker, brokers, message))
    }
    const logger = { debug: () => {}, info: () => {}, warn, error: warn }
    return Promise.race([withAdmin({ config, logger }, (admin) => describe(admin, brokers)), elsewhere.promise])
  },
}

async function describe(admin: Admin, asked: readonly string[]): Promise<Found> {
  const { brokers } = await admin.describeCluster()
  const addresses = brokers.map(({ host, port }) => `${host}:${port}`)
  const looks = await Promise.allSettled(addresses.map(canConnect))
  for (const [index, look] of looks.entries())
    if (look.status === 'rejected') return unreachable(addresses[index]!, asked, errorMessage(look.reason))
  return ok(`${addresses.length} broker(s): ${addresses.join(', ')}`)
}

const unreachable = (address: string, asked: readonly string[], why: string) =>
  bad(
    `${asked.join(',')} answers, but says that a broker is at ${address}, which cannot be reached from here (${why})`,
    'Name another listener in KAFKA_BROKERS, one that advertises an address for where you are, or correct advertised.listeners of that broker.',
  )

export const topicsCheck: Check = {
  name: 'topics',
  needs: ['kafka'],
  look: async ({ services }) => {
    const wrong = (await services.applyTopics(false)).filter(({ state }) => state !== 'ok')
    if (wrong.length === 0) return ok('as declared')
    const list = wrong.map(({ name, state, differences }) => `${name} ${state}: ${differences.join('; ')}`)
    return bad(list.join(', ').replaceAll(/: (?=,|$)/g, ''), topicHints(wrong))
  },
}

function topicHints(wrong: readonly TopicReport[]): string {
  const differs = wrong.filter(({ state }) => state === 'differs')
  const isCount = (difference: string) => difference.startsWith('partitions:')
  const hints = {
    '`sluice topics apply` makes the missing ones.': wrong.length > differs.length,
    // More partitions move tenants to others, and their order with them: rather take the topic's number than change it.
    'Set SLUICE_PARTITIONS to the partitions that there are (ops/docs/scaling.md tells how to get more).': differs.some(
      ({ differences }) => differences.some(isCount),
    ),
    'Set the settings with `kafka-configs --alter --entity-type topics --entity-name TOPIC --add-config NAME=DECLARED`.':
      differs.some(({ differences }) => !differences.every(isCount)),
  }
  return Object.entries(hints)
    .flatMap(([hint, applies]) => (applies ? hint : []))
    .join(' ')
}

export const recordTimesCheck: Check = {
  name: 'record times',
  needs: ['kafka'],
  look: async ({ services, now }) => {
    const { topicPrefix } = services.config
    const written = ['crawl.requests', 'pages.crawled'].map((topic) => topicPrefix + topic)
    const ahead = await withAdmin(services, async (admin) => {
      const there = await admin.listTopics()
      const found = await Promise.all(
        written.filter((topic) => there.includes(topic)).map((topic) => fromTheFuture(admin, topic, now())),
      )
      return found.flat()
    })
    if (ahead.length === 0) return ok('no record is ahead of this clock')
    return bad(
      `records more than ${MAX_AHEAD_MS / 1000} s ahead of this clock: ${ahead.join(', ')}`,
      'Synchronise the clocks of the producers and of this machine (NTP): pages without a version take the time of their record.',
    )
  },
}

/** Ends before the search: where nothing is found, kafkajs answers with the end as it is then, which is not below. */
async function fromTheFuture(admin: Admin, topic: string, nowMs: number): Promise<string[]> {
  const ends = new Map((await fetchBounds(admin, topic)).map(({ partition, high }) => [partition, high]))
  const first = await admin.fetchTopicOffsetsByTimestamp(topic, nowMs + MAX_AHEAD_MS)
  return first
    .filter(({ partition, offset }) => BigInt(offset) < (ends.get(partition) ?? 0n))
    .map(({ partition, offset }) => `${topic}/${partition} from offset ${offset}`)
}

/** A client with little patience, for connections; a request that hangs is left to the check's deadline, which is shorter. */
export async function withAdmin<T>(
  { config, logger }: Pick<Services, 'config' | 'logger'>,
  work: (admin: Admin) => Promise<T>,
): Promise<T> {
  const admin = createKafka({ ...config.kafka, retries: 3, requestTimeoutMs: 10_000 }, 'sluice-doctor', logger).admin()
  try {
    await admin.connect()
    return await work(admin)
  } finally {
    await admin.disconnect().catch(() => {})
  }
}
