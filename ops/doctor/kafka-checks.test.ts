/** Each break of Kafka by itself, against a real broker and registry. */
import { randomUUID } from 'node:crypto'
import confluent from '@kafkajs/confluent-schema-registry'
import kafkajs from 'kafkajs'
import t from 'tap'
import { physicalTopics } from '../../schemas/topics.ts'
import { closedPort, startMisleadingProxy } from '../testing/misleading-proxy.ts'
import { examine } from '../testing/examine.ts'
import { createWorld } from '../testing/world.ts'

// Joining and leaving a group takes the broker seconds.
t.setTimeout(180_000)
const world = await createWorld()
t.teardown(world.close)
const { admin, prefix, variables } = world
const look = (more: Record<string, string> = {}, options = {}) => examine({ ...variables, ...more }, options)
const page = { tenant_id: 'acme', url: 'https://a.example/', body: Buffer.from('x'), content_type: 'text/plain' }

t.test('all is well where nothing is broken', async (t) => {
  for (const { check, state, detail } of Object.values(await look()))
    t.equal(state, check === 'pgvector' ? state : 'ok', `${check}: ${detail}`)
})

t.test('a listener that advertises an address that cannot be reached', async (t) => {
  const port = await closedPort()
  const proxy = await startMisleadingProxy(variables.KAFKA_BROKERS, port)
  t.teardown(proxy.close)
  const found = await look({ KAFKA_BROKERS: proxy.address })
  t.match(found['kafka'], {
    state: 'bad',
    detail: new RegExp(`${proxy.address} answers, but .* 127.0.0.1:${port}`),
    hint: /advertised\.listeners/,
  })
  t.match(found['topics'], { state: 'warn', detail: /not looked at/ })
  t.equal(found['schema registry']?.state, 'ok')
})

t.test('topics: missing, with other partitions, with another retention', async (t) => {
  const SLUICE_TOPIC_PREFIX = `d${randomUUID().slice(0, 8)}.`
  const [first] = physicalTopics(SLUICE_TOPIC_PREFIX, 3)
  const topic = first!.name
  const wrong = [{ name: 'retention.ms', value: '1000' }, ...[]]
  await admin.createTopics({ topics: [{ topic, numPartitions: 2, configEntries: wrong }], waitForLeaders: true })
  const { topics } = await look({ SLUICE_TOPIC_PREFIX })
  t.match(topics, { state: 'bad', hint: /sluice topics apply.*SLUICE_PARTITIONS.*kafka-configs/ })
  t.match(topics?.detail, `${SLUICE_TOPIC_PREFIX}pages.crawled missing`)
  t.match(topics?.detail, /partitions: 2, declared 3/)
  t.match(topics?.detail, /retention\.ms: 1000, declared 604800000/)
  t.notMatch((await look({ SLUICE_PARTITIONS: '2' }))['topics']?.hint, 'sluice topics apply', 'what is not missing')
  await admin.deleteTopics({ topics: [topic] })
})

t.test('a schema that is missing, and one that ours is not compatible with', async (t) => {
  const SLUICE_TOPIC_PREFIX = `d${randomUUID().slice(0, 8)}.`
  const check = async () => (await look({ SLUICE_TOPIC_PREFIX }))['schema registry']
  t.match(await check(), { state: 'bad', detail: /not registered/, hint: /sluice topics apply/ })
  const registry = new confluent.SchemaRegistry({ host: variables.SCHEMA_REGISTRY_URL })
  const foreign = { type: 'record', name: 'Foreign', fields: [{ name: 'tenant_id', type: 'int' }] }
  const subject = `${SLUICE_TOPIC_PREFIX}pages.crawled-value`
  await registry.register({ type: confluent.SchemaType.AVRO, schema: JSON.stringify(foreign) }, { subject })
  t.match(await check(), { state: 'bad', detail: `${subject} is incompatible`, hint: /SLUICE_TOPIC_PREFIX/ })
})

t.test('the doctor registers nothing', async (t) => {
  const SLUICE_TOPIC_PREFIX = `d${randomUUID().slice(0, 8)}.`
  await look({ SLUICE_TOPIC_PREFIX })
  t.match((await look({ SLUICE_TOPIC_PREFIX }))['schema registry'], { state: 'bad', detail: /not registered/ })
})

t.test('offsets that are ahead of the ledger', async (t) => {
  await world.produce('pages.processed', [])
  const at = { groupId: `${prefix}sluice.chunker`, topic: `${prefix}pages.processed` }
  await admin.setOffsets({ ...at, partitions: [{ partition: 1, offset: '5' }] })
  t.match((await look())['committed ≤ ledger'], {
    state: 'bad',
    detail: `${prefix}pages.processed/1 5 > no ledger`,
    hint: /sluice run/,
  })
  await admin.setOffsets({ ...at, partitions: [{ partition: 1, offset: '0' }] })
  t.equal((await look())['committed ≤ ledger']?.state, 'ok')
})

t.test('a stranger in a stage’s consumer group, and one of ours that reads something else there', async (t) => {
  for (const [clientId, topic, detail] of [
    ['somebody-else', `${prefix}pages.crawled`, /sluice\.processor: client somebody-else at .* is no stage of ours/],
    [
      'sluice-mixed-up',
      `${prefix}crawl.requests`,
      /sluice\.processor: client sluice-mixed-up .* subscribes to .*crawl\.requests/,
    ],
  ] as const) {
    const kafka = new kafkajs.Kafka({
      clientId,
      brokers: [variables.KAFKA_BROKERS],
      logLevel: kafkajs.logLevel.NOTHING,
    })
    const consumer = kafka.consumer({ groupId: `${prefix}sluice.processor` })
    const joined = new Promise((resolve) => consumer.on('consumer.group_join', resolve))
    await consumer.connect()
    await consumer.subscribe({ topic })
    await consumer.run({ eachMessage: async () => {} })
    await joined
    t.match((await look())['consumer groups'], { state: 'bad', detail, hint: /group\.id/ })
    await consumer.disconnect()
  }
  t.match((await look())['consumer groups'], { state: 'ok' })
})

t.test('a producer whose clock is ahead', async (t) => {
  await world.produce('pages.crawled', [page])
  t.equal((await look())['record times']?.state, 'ok')
  const found = await look({}, { now: () => Date.now() - 3_600_000 })
  t.match(found['record times'], { state: 'bad', detail: /pages\.crawled\/\d from offset 0/, hint: /NTP/ })
  t.match(found['clocks'], { state: 'bad' })
})
