import t from 'tap'
import { crawledPage } from '../../ops/testing/events.ts'
import { createWorld } from '../../ops/testing/world.ts'
import { createRecordTimes } from './record-times.ts'

const world = await createWorld({ partitions: 3 })
const times = createRecordTimes(world.services.kafka('times'))
t.teardown(async () => {
  await times.close()
  await world.close()
})
const topic = `${world.prefix}pages.crawled`
const [tenant] = world.tenants as [string]
const at = { topic, partition: 0 }

t.test(
  'it reads the record at an offset, also one in the middle of a batch, and no consumer group is made',
  async (t) => {
    const producer = world.services.kafka('own').producer()
    await producer.connect()
    const message = (timestamp: string) => ({ key: tenant, value: 'x'.repeat(200_000), partition: 0, timestamp })
    const stamps = ['1700000000000', '1700000000700', '1700000000300']
    await producer.send({ topic, messages: stamps.map(message) })
    await producer.disconnect()
    const read = await Promise.all([0n, 1n, 2n].map((offset) => times.at(at, offset)))
    t.same(read.map(String), stamps)
    t.equal(await times.at(at, 3n), null, 'nothing there yet')
    const { groups } = await world.admin.listGroups()
    t.same(
      groups.filter(({ groupId }) => groupId.startsWith(world.prefix)),
      [],
    )
  },
)

t.test('an offset that had no record has one later', async (t) => {
  const partition = { topic, partition: 1 }
  t.equal(await times.at(partition, 0n), null)
  const before = Date.now()
  await world.produce('pages.crawled', [crawledPage(world.tenants[1]!, 'a')])
  const ms = (await times.at(partition, 0n))!
  t.ok(ms >= before - 1_000 && ms <= Date.now() + 1_000)
})

t.test('a retry is as old as its first delivery', async (t) => {
  const headers = { 'sluice-origin-timestamp-ms': '1600000000000' }
  const [partition, key, value] = [0, tenant, Buffer.from('x')]
  await world.produceRaw([{ topic: `${topic}.retry`, key, value, headers, partition }])
  t.equal(await times.at({ topic: `${topic}.retry`, partition }, 0n), 1_600_000_000_000)
})

t.test('an offset beyond the log and a topic that is not there are errors, and the next look works', async (t) => {
  await t.rejects(times.at(at, 999n))
  await t.rejects(times.at({ topic: `${world.prefix}none`, partition: 0 }, 0n))
  t.equal(await times.at(at, 0n), 1_700_000_000_000)
})
