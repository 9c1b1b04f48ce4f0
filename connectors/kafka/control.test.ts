/** On a real broker and registry. */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { eventually } from '../../ops/testing/eventually.ts'
import { fakeLogger } from '../../ops/testing/runtime-fakes.ts'
import { createWorld } from '../../ops/testing/world.ts'
import { DependencyUnavailable, UserError } from '../../streams/errors.ts'
import { isPaused, limitKey, pauseKey } from '../../streams/throttle/control-state.ts'
import { fetchBounds } from './bounds.ts'
import { createControlChannel } from './control.ts'
import type { ControlConnection } from './control.ts'

const world = await createWorld({ partitions: 1 })
t.teardown(world.close)
const { services, prefix, admin } = world
const topic = `${prefix}pipeline.control`

interface Overrides {
  readonly topic?: string
  readonly decode?: (value: Buffer) => Promise<object>
}
function connect(overrides: Overrides = {}) {
  const logger = fakeLogger()
  const instance = randomUUID()
  const channel = createControlChannel({
    ...{ kafka: services.kafka('control'), topic, produce: services.producer.produce, logger, instance },
    encode: (value) => services.codec.encode('pipeline.control', value),
    decode: (value) => services.codec.decode('pipeline.control', value),
    ...overrides,
  })
  return { channel, logger, instance }
}
const processor = { stage: 'processor', tenant: '', partition: -1 } as const
const pause = (channel: ControlConnection, tenant: string) =>
  channel.publish(pauseKey({ ...processor, tenant }), {
    ...{ command: 'PAUSE', stage: 'processor', tenant_id: tenant, reason: 'a test' },
  })
const heldUp = (channel: ControlConnection, tenant: string) => isPaused(channel.state(), 'processor', tenant)
const isTold = (what: string, channel: ControlConnection, is: () => boolean) =>
  eventually(what, is, Boolean, 20_000).then(() => channel)

t.test('what is commanded reaches every instance, and those that start later know it at once', async (t) => {
  const [one, two] = [connect(), connect()]
  await Promise.all([one.channel.start(), two.channel.start()])
  await pause(one.channel, 'a/b ü')
  await Promise.all(
    [one, two].map(({ channel }) => isTold('the pause', channel, () => heldUp(channel, 'a/b ü') !== undefined)),
  )
  t.match(heldUp(two.channel, 'a/b ü'), { tenant: 'a/b ü', reason: 'a test' })
  const late = connect()
  await late.channel.start()
  t.match(heldUp(late.channel, 'a/b ü'), { tenant: 'a/b ü', reason: 'a test' })
  await two.channel.publish(pauseKey({ ...processor, tenant: 'a/b ü' }), null)
  for (const { channel } of [one, two, late]) await isTold('lifted', channel, () => channel.state().pauses.size === 0)
  await Promise.all([one, two, late].map(({ channel }) => channel.close()))
})

t.test('a log that ends in something that is no command is read to its end all the same', async () => {
  const end = async () => (await fetchBounds(admin, topic))[0]!.high
  const before = await end()
  const producer = services.kafka('control').producer({ transactionalId: randomUUID(), maxInFlightRequests: 1 })
  await producer.connect()
  const transaction = await producer.transaction()
  await transaction.send({ topic, messages: [{ key: 'limit/nothing/', value: null }] })
  await transaction.commit()
  await producer.disconnect()
  await eventually('the transaction’s marker is in the log', end, (now) => now >= before + 2n)
  const { channel } = connect()
  await channel.start()
  await channel.close()
})

t.test('its group never commits, and is gone once it has closed', async (t) => {
  const { channel, instance } = connect()
  await channel.start()
  const groupId = `${topic}.${instance}`
  await pause(channel, 'group')
  await isTold('the pause', channel, () => heldUp(channel, 'group') !== undefined)
  const [offsets] = await admin.fetchOffsets({ groupId, topics: [topic] })
  t.match(offsets!.partitions, [{ offset: '-1' }])
  await channel.close()
  const { groups } = await admin.listGroups()
  t.notOk(groups.some((group) => group.groupId === groupId))
})

t.test('a record that nobody can read is skipped with a warning, the next one counts', async (t) => {
  const { channel, logger } = connect()
  await channel.start()
  await services.producer.produce([
    { topic, key: 'pause/processor//', value: Buffer.from('no avro') },
    { topic, key: 'pause/chunker//', value: Buffer.from([0, 0, 0, 0, 99, 1]) },
    { topic, key: 'limit/nothing/', value: null },
  ])
  await channel.publish('limit/other/', { command: 'LIMIT', budget: 'database_slots', value: 3 })
  await channel.publish(limitKey({ budget: 'database_slots', tenant: '' }), {
    ...{ command: 'LIMIT', budget: 'database_slots', value: 4 },
  })
  await isTold('the limit', channel, () => channel.state().limits.size === 1)
  t.match([...channel.state().limits.values()], [{ budget: 'database_slots', value: 4 }])
  const warnings = logger.lines.filter(({ level }) => level === 'warn')
  t.equal(warnings.length, 3, JSON.stringify(warnings))
  await channel.close()
})

t.test('while the registry is away a command waits for it, it is not skipped', async (t) => {
  let away = true
  const tried = Promise.withResolvers<void>()
  const { channel } = connect({
    decode: async (value) => {
      tried.resolve()
      if (away) throw new DependencyUnavailable('registry', 'away')
      return services.codec.decode('pipeline.control', value)
    },
  })
  const started = channel.start()
  await tried.promise
  t.equal(channel.state().limits.size, 0)
  away = false
  await started
  t.equal(channel.state().limits.size, 1)
  await channel.close()
})

t.test('a consumer that joins anew reads all of it again and changes nothing', async (t) => {
  const { channel } = connect()
  await channel.start()
  const before = channel.state()
  let calls = 0
  channel.onChange(() => (calls += 1))
  // Another member of its group: both join again, one of them without the partition.
  const other = services.kafka('other').consumer({ groupId: `${topic}.${channel.instance}` })
  await other.connect()
  await other.subscribe({ topics: [topic] })
  await other.run({ autoCommit: false, eachMessage: async () => {} })
  await other.disconnect()
  await pause(channel, 'after joining anew')
  await isTold('the pause', channel, () => heldUp(channel, 'after joining anew') !== undefined)
  t.equal(calls, 1)
  t.equal(channel.state().pauses.size, before.pauses.size + 1)
  await channel.close()
})

t.test('a topic that is not there is told with what to do', async (t) => {
  const { channel } = connect({ topic: `${prefix}missing` })
  await t.rejects(channel.start(), { name: UserError.name, hint: /sluice topics apply/ })
  await channel.close()
})
