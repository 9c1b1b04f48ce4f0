/** Replays of a part: a tenant, a partition, a stretch of time; and of the other stages. */
import t from 'tap'
import { checksum } from '../testing/checker.ts'
import { crawledPage, processedPage } from '../testing/events.ts'
import { eventually } from '../testing/eventually.ts'
import { RECORDS_A_TENANT, SMALLER, createReplayWorld, nothing } from '../testing/replays.ts'
import { partitionOf } from './positions.ts'

t.setTimeout(280_000)
const world = await createReplayWorld()
t.teardown(world.close)
const { db, start, sluice, askedFor } = world
const [acme] = world.tenants as [string, string, string]
const neighbour = Array.from({ length: 50 }, (_, n) => `n${n}`).find(
  (one) => partitionOf(one, 3) === partitionOf(acme, 3),
)!

const checksumOf = async (tenant: string) => {
  const { rows } = await db.raw(
    `select md5(string_agg(k::text, chr(10) order by id)) as sum from tenant_knowledge k where tenant_id = ?`,
    [tenant],
  )
  return rows[0].sum as string
}
async function live(stages: readonly ('processor' | 'chunker')[]) {
  const running = await world.spawnStages(stages)
  for (const stage of stages) await world.drained(stage)
  await running.end('SIGTERM')
}

t.test('a tenant: its records alone, though others share its partition', async (t) => {
  await world.produce('pages.processed', [processedPage(neighbour, 'a'), processedPage(neighbour, 'b')])
  await live(['chunker'])
  const others = [neighbour, ...world.tenants.slice(1)]
  const before = await Promise.all([acme, ...others].map(checksumOf))
  const { code, last, stderr } = await start(['replay', 'chunker', '--from', 'beginning', '--tenant', acme], SMALLER)
    .ended
  t.match({ code, last }, { code: 0, last: { records: RECORDS_A_TENANT, pagesChanged: 10 } }, stderr)
  const after = await Promise.all([acme, ...others].map(checksumOf))
  t.not(after[0], before[0])
  t.strictSame(after.slice(1), before.slice(1))
})

t.test('offsets and a partition', async (t) => {
  const { last } = await sluice('replay', 'chunker', '--from', '2', '--to', '5', '--partition', '1')
  t.match(last, { records: 3 })
  t.match(await sluice('replay', 'chunker', '--from', '0', '--partition', '9'), { code: 2, stderr: /no partition 9/ })
  t.match(await sluice('replay', 'chunker', '--from', '5', '--to', '5'), {
    code: 0,
    last: { records: 0, ...nothing },
    stderr: /nothing lies in this range/,
  })
})

t.test('a stretch of time ends before the record that has its end', async (t) => {
  const between = Date.now() + 1
  await eventually('the moment has passed', Date.now, (now) => now > between)
  await world.produce('pages.processed', [processedPage(acme, 'late'), processedPage(neighbour, 'late')])
  const iso = new Date(between).toISOString()
  const later = await sluice('replay', 'chunker', '--from', iso, '--dry-run')
  t.match(later.last, { records: 2, pagesChanged: 2 })
  const earlier = await sluice('replay', 'chunker', '--from', '1h', '--to', iso, '--dry-run')
  t.match(earlier.last, { records: 3 * RECORDS_A_TENANT + 2 })
  await live(['chunker'])
})

t.test('a deleted tenant: its records are passed by, and nothing is bought for them', async (t) => {
  await db('tenants').where({ id: neighbour }).update({ status: 'deleted' })
  const before = { asked: askedFor(), sum: await checksumOf(neighbour) }
  const { last } = await start(['replay', 'chunker', '--from', '0', '--tenant', neighbour], SMALLER).ended
  t.strictSame(last, { records: 0, ...nothing })
  t.strictSame({ asked: askedFor(), sum: await checksumOf(neighbour) }, before)
})

t.test('a record that nobody can read is counted as failed, in a dry run not even that is written', async (t) => {
  const topic = `${world.prefix}pages.processed`
  await world.produceRaw([{ topic, key: acme, value: Buffer.from('no avro') }])
  const partition = String(partitionOf(acme, 3))
  const args = ['replay', 'chunker', '--from', '1m', '--partition', partition]
  t.match(await sluice(...args, '--dry-run'), { code: 0 })
  t.strictSame(await world.deadLetters('pages.processed'), [])
  t.match(await sluice(...args), { code: 0, stderr: /1 records failed/ })
  t.equal((await world.deadLetters('pages.processed')).length, 1)
})

t.test('the processor: its pages come to the chunker again, and change nothing there', async (t) => {
  await world.produce('pages.crawled', [crawledPage(acme, 'x'), crawledPage(acme, 'y')])
  await live(['processor', 'chunker'])
  const before = { sum: await checksum(db), asked: askedFor() }
  const dry = await sluice('replay', 'processor', '--from', 'beginning', '--dry-run')
  t.strictSame(dry.last, { records: 2, ...nothing })
  const { code, last, stderr } = await sluice('replay', 'processor', '--from', 'beginning')
  t.match({ code, last }, { code: 0, last: { records: 2, ...nothing } }, stderr)
  t.equal((await world.readTopic('pages.processed')).filter(({ key }) => key === acme).length, RECORDS_A_TENANT + 6)
  await live(['chunker'])
  t.strictSame({ sum: await checksum(db), asked: askedFor() }, before)
})

t.test('the crawler: a crawl that is not known is asked for again, one that is changes nothing', async (t) => {
  const request = { tenant_id: acme, urls: ['https://acme.example/'] }
  await world.produce('crawl.requests', [request])
  const jobs = () => db('crawl_jobs').select('tenant_id', 'admitted')
  t.match(await sluice('replay', 'crawler', '--from', 'beginning'), { code: 0, last: { records: 1, ...nothing } })
  t.strictSame(await jobs(), [{ tenant_id: acme, admitted: 1 }])
  t.match(await sluice('replay', 'crawler', '--from', '0'), { code: 0, last: { records: 1, ...nothing } })
  t.strictSame(await jobs(), [{ tenant_id: acme, admitted: 1 }])
})
