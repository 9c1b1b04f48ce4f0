import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { topology } from '../streams/topology.ts'
import { MAX_PAGE_BYTES, deadLetterTopic, physicalTopics, retryTopic, topicNames, topics } from './topics.ts'
import type { ConsumedTopic, PhysicalTopic, TopicSpec } from './topics.ts'

const consumed = topicNames.filter((name) => (topics[name] as TopicSpec).consumed) as ConsumedTopic[]
const named = (list: readonly PhysicalTopic[], name: string) => list.find((topic) => topic.name === name)!
const bytes = (topic: PhysicalTopic) => Number(topic.config['max.message.bytes'])

void t.test('the public names stay as they are', async (t) => {
  t.strictSame(
    physicalTopics('').map(({ name }) => name),
    [
      ...['crawl.requests', 'crawl.requests.retry', 'crawl.requests.dlq'],
      ...['pages.crawled', 'pages.crawled.retry', 'pages.crawled.dlq'],
      ...['pages.processed', 'pages.processed.retry', 'pages.processed.dlq'],
      ...['knowledge.updated', 'pipeline.control'],
    ],
  )
})

void t.test('every topic has a schema file, and every schema file a topic', async (t) => {
  for (const name of topicNames) t.ok(existsSync(join(import.meta.dirname, topics[name].schema)), topics[name].schema)
  t.strictSame(
    readdirSync(import.meta.dirname)
      .filter((file) => file.endsWith('.avsc'))
      .sort(),
    topicNames.map((name) => topics[name].schema as string).sort(),
  )
})

void t.test('the topics with retries and dead letters are those that a stage consumes', async (t) => {
  t.strictSame(
    Object.values(topology)
      .map(({ from }) => from)
      .sort(),
    [...consumed].sort(),
  )
})

void t.test('a record keeps its partition on its way through retry and dead letters', async (t) => {
  for (const count of [undefined, 3]) {
    const all = physicalTopics('', count)
    for (const topic of consumed) {
      t.equal(named(all, retryTopic(topic)).partitions, named(all, topic).partitions)
      t.equal(named(all, deadLetterTopic(topic)).partitions, named(all, topic).partitions)
    }
  }
})

void t.test('another partition count leaves the control topic, which everybody reads in order, at one', async (t) => {
  const all = physicalTopics('', 3)
  t.equal(named(all, 'pipeline.control').partitions, 1)
  t.equal(named(all, 'knowledge.updated').partitions, 3)
})

void t.test('a prefix stands before every name and changes nothing else', async (t) => {
  const plain = physicalTopics('')
  t.strictSame(
    physicalTopics('staging.'),
    plain.map((topic) => ({ ...topic, name: `staging.${topic.name}` })),
  )
})

void t.test(
  'only the control topic is compacted: elsewhere the key is the tenant, one page of each would be left',
  async (t) => {
    for (const { name, config } of physicalTopics('')) {
      const compacted = name === 'pipeline.control'
      t.equal(config['cleanup.policy'], compacted ? 'compact' : 'delete', name)
      t.equal('retention.ms' in config, !compacted, name)
    }
  },
)

void t.test('pages are kept for thirty days, what a replay reads; requests and news for seven', async (t) => {
  const days = (name: string) => Number(named(physicalTopics(''), name).config['retention.ms']) / 86_400_000
  t.strictSame(
    ['pages.crawled', 'pages.processed', 'pages.processed.dlq', 'pages.processed.retry'].map(days),
    [30, 30, 30, 30],
  )
  t.strictSame(['crawl.requests', 'knowledge.updated'].map(days), [7, 7])
})

void t.test('the largest page fits its topic, and its dead letter fits with headers added', async (t) => {
  const all = physicalTopics('')
  for (const topic of consumed) {
    t.ok(bytes(named(all, topic)) >= MAX_PAGE_BYTES + 1024 * 1024, topic)
    t.ok(bytes(named(all, deadLetterTopic(topic))) >= bytes(named(all, topic)) + 64 * 1024, deadLetterTopic(topic))
    t.ok(bytes(named(all, retryTopic(topic))) >= bytes(named(all, topic)) + 64 * 1024, retryTopic(topic))
  }
})

void t.test('every topic recompresses to the one codec that our consumers read', async (t) => {
  for (const { name, config } of physicalTopics('')) t.equal(config['compression.type'], 'zstd', name)
})

void t.test('names are legal in Kafka and do not clash in its metrics, where dot and underscore are one', async (t) => {
  const names = physicalTopics('').map(({ name }) => name)
  for (const name of names) t.match(name, /^[a-zA-Z0-9._-]{1,249}$/)
  t.equal(new Set(names.map((name) => name.replaceAll('.', '_'))).size, names.length)
})
