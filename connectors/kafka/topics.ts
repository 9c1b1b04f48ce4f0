/** Creates missing topics and compares existing ones with their declaration; it never deletes or shrinks anything. */
import { setTimeout as sleep } from 'node:timers/promises'
import kafkajs from 'kafkajs'
import type { Admin } from 'kafkajs'
import type { PhysicalTopic } from '../../schemas/topics.ts'
import { fetchBounds } from './bounds.ts'

export interface TopicReport {
  readonly name: string
  readonly state: 'created' | 'ok' | 'missing' | 'differs'
  /** What differs, for people; empty when nothing does. */
  readonly differences: readonly string[]
}

/** @param apply false: only compare. Replication is the broker's default, so that one node and three both work. */
export async function applyTopics(
  admin: Admin,
  topics: readonly PhysicalTopic[],
  apply = true,
): Promise<TopicReport[]> {
  const existing = new Set(await admin.listTopics())
  const missing = topics.filter(({ name }) => !existing.has(name))
  if (apply && missing.length > 0) {
    await admin.createTopics({
      waitForLeaders: false,
      topics: missing.map(({ name, partitions, config }) => ({
        topic: name,
        numPartitions: partitions,
        replicationFactor: -1,
        configEntries: Object.entries(config).map(([key, value]) => ({ name: key, value })),
      })),
    })
    await untilLed(
      admin,
      missing.map(({ name }) => name),
    )
  }
  const present = topics.filter(({ name }) => existing.has(name))
  const compared = await compare(admin, present)
  return topics.map(
    (topic) => compared.get(topic.name) ?? { name: topic.name, state: apply ? 'created' : 'missing', differences: [] },
  )
}

async function compare(admin: Admin, topics: readonly PhysicalTopic[]): Promise<Map<string, TopicReport>> {
  if (topics.length === 0) return new Map()
  const names = topics.map(({ name }) => name)
  const { topics: metadata } = await admin.fetchTopicMetadata({ topics: names })
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: topics.map(({ name, config }) => ({
      type: kafkajs.ConfigResourceTypes.TOPIC,
      name,
      configNames: Object.keys(config),
    })),
  })
  return new Map(
    topics.map((topic) => {
      const partitions = metadata.find(({ name }) => name === topic.name)?.partitions.length ?? 0
      const config = resources.find(({ resourceName }) => resourceName === topic.name)?.configEntries ?? []
      const differences = [
        ...(partitions === topic.partitions ? [] : [`partitions: ${partitions}, declared ${topic.partitions}`]),
        ...Object.entries(topic.config).flatMap(([key, value]) => {
          const actual = config.find(({ configName }) => configName === key)?.configValue
          return actual === value ? [] : [`${key}: ${actual}, declared ${value}`]
        }),
      ]
      return [topic.name, { name: topic.name, state: differences.length === 0 ? 'ok' : 'differs', differences }]
    }),
  )
}

const LEADERS_WITHIN_MS = 30_000
const LOOK_EVERY_MS = 100

/**
 * Until every partition answers, not only until it has a leader: a broker that makes many topics names a leader in its
 * metadata before that leader has taken the partition, and refuses requests meanwhile. kafkajs' own wait throws where the
 * broker does not know the newest topic yet.
 */
async function untilLed(admin: Admin, names: string[]): Promise<void> {
  for (const endsAtMs = Date.now() + LEADERS_WITHIN_MS; ;) {
    try {
      const { topics } = await admin.fetchTopicMetadata({ topics: names })
      if (topics.every(({ partitions }) => partitions.every(({ leader }) => leader >= 0))) break
    } catch (error) {
      if (Date.now() >= endsAtMs) throw error
    }
    if (Date.now() >= endsAtMs) throw new Error(`no leaders for the new topics within ${LEADERS_WITHIN_MS} ms`)
    await sleep(LOOK_EVERY_MS)
  }
  for (const name of names) await fetchBounds(admin, name)
}
