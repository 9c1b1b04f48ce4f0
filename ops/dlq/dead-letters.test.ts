/** Dead letters on a real broker: what is shown of them, and that each is given back once, with its original bytes. */
import t from 'tap'
import { createDeadLetterActions } from '../../connectors/postgres/dead-letter-actions.ts'
import type { OutgoingMessage } from '../../streams/runtime/ports.ts'
import { crawledPage, processedPage } from '../testing/events.ts'
import { createWorld } from '../testing/world.ts'
import { createDeadLetters } from './dead-letters.ts'
import type { DeadLetter } from './dead-letters.ts'

t.setTimeout(240_000)
const world = await createWorld({ partitions: 2 })
const { services, prefix, db } = world
t.teardown(world.close)

const dlq = createDeadLetters(services)
t.teardown(dlq.close)
const actor = 'ada@here'
const HOSTILE = '\u001b[2J\u001b]0;owned\u0007<script>alert(1)</script>\u202eevil'
const sentMs = Date.now() - 86_400_000

interface Given {
  readonly topic?: string
  readonly key?: string | null
  readonly value?: Buffer | null
  readonly code?: string
  readonly message?: string
  readonly origin: number
  readonly headers?: Record<string, string | Buffer>
}

/** As the runtime writes them. */
const letter = ({ topic = 'pages.crawled', origin, ...given }: Given): OutgoingMessage => ({
  topic: `${prefix}${topic}.dlq`,
  partition: 0,
  key: given.key === undefined ? 'acme' : given.key,
  value: given.value === undefined ? Buffer.from(`bytes ${origin}`) : given.value,
  headers: {
    'sluice-origin-topic': prefix + topic,
    'sluice-origin-partition': '0',
    'sluice-origin-offset': String(origin),
    'sluice-origin-timestamp-ms': String(sentMs),
    'sluice-attempt': '2',
    'sluice-first-failure-ms': String(sentMs + 1_000),
    'sluice-error-code': given.code ?? 'undecodable',
    'sluice-error-message': given.message ?? 'it is broken',
    ...given.headers,
  },
})
const bury = (...given: Given[]) => world.produceRaw(given.map(letter))
const positionOf = ({ partition, offset }: DeadLetter) => ({ partition, offset: BigInt(offset) })
const actedOn = () => db('dead_letter_actions').where({ topic: `${prefix}crawl.requests.dlq` })

t.test(
  'a letter shows its value, error, origin and age; what cannot be decoded is shown as bytes, within bounds',
  async (t) => {
    const page = crawledPage('acme', 'long', { body: Buffer.alloc(2_000_000, 'x') })
    await bury(
      {
        origin: 1,
        value: await services.codec.encode('pages.crawled', page),
        code: 'page_too_large',
        message: HOSTILE,
      },
      { origin: 2, value: Buffer.alloc(50_000, 0xff), key: 'globex' },
      { origin: 3, value: Buffer.from('{"tenant_id":"acme"}') },
      { origin: 4, value: null, key: null, code: 'empty_value' },
    )
    const { letters, matching } = await dlq.list({ topic: 'pages.crawled' })
    t.equal(matching, 4)
    const of = (origin: number) => letters.find((one) => one.origin.offset === String(origin))!
    t.match(of(1), {
      ...{
        tenant: 'acme',
        code: 'page_too_large',
        message: HOSTILE,
        attempts: 2,
        cycle: 0,
        state: 'open',
        action: null,
      },
      origin: { topic: `${prefix}pages.crawled`, partition: 0, offset: '1' },
      firstFailureMs: sentMs + 1_000,
      value: { kind: 'decoded', value: { url: page.url, body: /^x+… \(2000000 bytes\)$/ } },
    })
    t.match(of(2), { tenant: 'globex', bytes: 50_000, value: { kind: 'hex', value: /^(ff)+… \(50000 bytes\)$/ } })
    t.match(of(3), { value: { kind: 'text', value: '{"tenant_id":"acme"}', why: /wire format/ } })
    t.match(of(4), { tenant: '', value: { kind: 'empty' } })
    t.ok(JSON.stringify(letters).length < 10_000, 'whatever the size of the values')

    t.equal((await dlq.list({ topic: 'pages.crawled', tenant: 'globex' })).matching, 1)
    t.equal((await dlq.list({ topic: 'pages.crawled', code: 'undecodable', tenant: 'acme' })).matching, 1)
    t.equal((await dlq.list({ topic: 'pages.crawled', sinceMs: Date.now() + 60_000 })).matching, 0)
    const few = await dlq.list({ topic: 'pages.crawled', limit: 1 })
    t.strictSame([few.letters.length, few.matching], [1, 4])
    t.match(await dlq.show('pages.crawled', positionOf(of(2))), { origin: { offset: '2' } })
    await t.rejects(dlq.show('pages.crawled', { partition: 1, offset: 7n }), { name: 'UserError' })
  },
)

t.test(
  'a redrive gives back the original bytes, key and headers, each letter once, whoever else redrives',
  async (t) => {
    const foreign = { traceparent: '00-1-2-01', 'x-upstream': Buffer.from([0, 255, 1]) }
    await bury(
      ...Array.from({ length: 8 }, (_, origin) => ({ topic: 'crawl.requests', origin, headers: foreign })),
      { topic: 'crawl.requests', origin: 3, headers: foreign }, // produced twice: the producer's answer got lost
      { topic: 'crawl.requests', origin: 90, key: 'globex' },
    )
    const plan = await dlq.redrive({ topic: 'crawl.requests' }, { actor, dryRun: true })
    t.match(plan, { redriven: 9, byCode: { undecodable: 9 }, refused: 0 })
    t.equal((await world.readTopic('crawl.requests')).length, 0, 'a dry run produces nothing')

    const other = createDeadLetters(services)
    const filter = { topic: 'crawl.requests', tenant: 'acme' } as const
    const both = await Promise.all([
      dlq.redrive(filter, { actor, ratePerSecond: 500 }),
      other.redrive(filter, { actor: 'bob', ratePerSecond: 500 }),
    ])
    t.equal(both[0].redriven + both[1].redriven, 8)
    t.match(await dlq.redrive(filter, { actor, ratePerSecond: 500 }), { redriven: 0, alreadyDone: 8, refused: 0 })
    const records = await world.readTopic('crawl.requests')
    t.strictSame(
      records.map(({ value }) => String(value)).sort(),
      Array.from({ length: 8 }, (_, at) => `bytes ${at}`),
    )
    for (const { key, headers } of records) {
      t.equal(key, 'acme')
      const upstream = String(foreign['x-upstream'])
      const cycle = { 'sluice-redrive-cycle': '1', 'sluice-redrive-sent-ms': String(sentMs) }
      t.strictSame(headers, { traceparent: '00-1-2-01', 'x-upstream': upstream, ...cycle })
    }
    t.equal((await actedOn()).length, 8)
    t.match(await dlq.list(filter), { matching: 0 })
    const { letters } = await dlq.list({ ...filter, all: true })
    t.strictSame([...new Set(letters.map(({ state }) => state))], ['redriven'])
    t.match(await dlq.list({ topic: 'crawl.requests' }), { matching: 1, letters: [{ tenant: 'globex' }] })
  },
)

t.test('a redrive that was killed between claim and mark is taken up again once its claim is old', async (t) => {
  await bury({ topic: 'crawl.requests', origin: 200, key: 'killed' })
  const filter = { topic: 'crawl.requests', tenant: 'killed' } as const
  const [only] = (await dlq.list(filter)).letters
  const name = { ...only!, origin: { ...only!.origin, timestampMs: sentMs } }
  const wish = { action: 'redrive', reason: '', actor: 'the dead', claim: crypto.randomUUID(), staleMs: 0 } as const
  await createDeadLetterActions(db).claim(`${prefix}crawl.requests.dlq`, [name], wish)
  t.match(await dlq.list(filter), { matching: 1, letters: [{ state: 'under way', action: { actor: 'the dead' } }] })
  t.match(await dlq.redrive(filter, { actor }), { redriven: 0, refused: 1, refusals: [{ reason: /the dead since/ }] })
  const later = createDeadLetters(services, { claimMs: 0 })
  t.match(await later.redrive(filter, { actor }), { redriven: 1, refused: 0 })
  t.match(await later.redrive(filter, { actor }), { redriven: 0, alreadyDone: 1 })
})

t.test('what was redriven too often is refused, and so is a position at which there is nothing', async (t) => {
  await bury({ topic: 'crawl.requests', origin: 300, key: 'tired', headers: { 'sluice-redrive-cycle': '3' } })
  const filter = { topic: 'crawl.requests', tenant: 'tired' } as const
  t.match(await dlq.redrive(filter, { actor }), { redriven: 0, refused: 1, refusals: [{ reason: /3 times already/ }] })
  const nowhere = { topic: 'crawl.requests', at: [{ partition: 1, offset: 99n }] } as const
  t.match(await dlq.redrive(nowhere, { actor }), { refused: 1, refusals: [{ at: '1:99', reason: /no such record/ }] })
  t.match(await dlq.redrive(filter, { actor, maxCycles: 4 }), { redriven: 1, refused: 0 })
  const records = await world.readTopic('crawl.requests')
  t.match(
    records.find(({ key }) => key === 'tired'),
    { headers: { 'sluice-redrive-cycle': '4' } },
  )
})

t.test('a discarded letter keeps the reason and who, and is never redriven', async (t) => {
  const [one, ...rest] = (await dlq.list({ topic: 'pages.crawled' })).letters
  const at = [positionOf(one!)]
  const wish = { reason: 'the site is gone', actor } as const
  t.match(await dlq.discard({ topic: 'pages.crawled', at }, { ...wish, dryRun: true }), { discarded: 1 })
  t.match(await dlq.discard({ topic: 'pages.crawled', at }, wish), { discarded: 1, refused: 0 })
  t.match(await dlq.discard({ topic: 'pages.crawled', at }, { ...wish, reason: 'again' }), {
    discarded: 0,
    alreadyDone: 1,
  })
  t.match(await dlq.redrive({ topic: 'pages.crawled', at }, { actor }), { redriven: 0, alreadyDone: 1 })
  const shown = await dlq.show('pages.crawled', at[0]!)
  t.match(shown, { state: 'discarded', action: { reason: 'the site is gone', actor } })
  t.equal((await dlq.list({ topic: 'pages.crawled' })).matching, rest.length)
})

t.test('the summary counts open letters by tenant and code, and follows what comes and what is decided', async (t) => {
  let nowMs = Date.now()
  const clock = { now: () => nowMs, after: () => () => {} }
  const watching = createDeadLetters(services, { clock })
  const sum = async () => (await watching.summary()).filter(({ topic }) => topic === 'pages.processed')
  t.strictSame(await sum(), [])
  await bury(
    { topic: 'pages.processed', origin: 1 },
    { topic: 'pages.processed', origin: 1 },
    { topic: 'pages.processed', origin: 2 },
    { topic: 'pages.processed', origin: 3, key: 'globex', code: 'unexpected' },
  )
  t.strictSame(await sum(), [], 'looked at a moment ago')
  nowMs += 16_000
  const rows = await sum()
  t.match(rows, [
    { tenant: 'acme', code: 'undecodable', open: 2 },
    { tenant: 'globex', code: 'unexpected', open: 1 },
  ])
  t.ok(rows.every(({ oldestAgeSeconds }) => oldestAgeSeconds >= 0 && oldestAgeSeconds < 200))
  await watching.discard({ topic: 'pages.processed', tenant: 'globex' }, { reason: 'test', actor })
  t.match(await sum(), [{ tenant: 'acme', open: 2 }], 'what it did itself it knows at once')
  await createDeadLetters(services).redrive({ topic: 'pages.processed' }, { actor, ratePerSecond: 500 })
  nowMs += 16_000
  t.strictSame(await sum(), [])
  t.strictSame(
    await createDeadLetters(services)
      .summary()
      .then((all) => all.filter(({ topic }) => topic === 'pages.processed')),
    [],
  )
})

t.test(
  'a letter whose cause persists comes back with one cycle more; once it is mended, its page is stored',
  async (t) => {
    world.embeddings.setFaults({ rejectText: 'FORBIDDEN' })
    const bad = processedPage('acme', 'refused')
    bad.blocks[1]!.text = `FORBIDDEN ${bad.blocks[1]!.text}`
    await world.produce('pages.processed', [bad])
    await world.spawnStages(['chunker'])
    await world.drained('chunker', 120_000)
    const filter = { topic: 'pages.processed', code: 'embedding_rejected' } as const
    t.match(await dlq.list(filter), { matching: 1, letters: [{ cycle: 0 }] })
    t.match(await dlq.redrive(filter, { actor }), { redriven: 1 })
    await world.drained('chunker', 120_000)
    const again = await dlq.list(filter)
    t.match(again, { matching: 1, letters: [{ cycle: 1, state: 'open' }] })
    t.equal((await db('sources').where({ id: bad.source_id, status: 'active' })).length, 0)
    world.embeddings.setFaults({})
    t.match(await dlq.redrive(filter, { actor }), { redriven: 1 })
    await world.drained('chunker', 120_000)
    t.match(await dlq.list(filter), { matching: 0 })
    t.equal((await db('sources').where({ id: bad.source_id, status: 'active' })).length, 1)
  },
)

t.test('an old page that is given back does not win over a newer one that came meanwhile', async (t) => {
  const page = (text: string) => crawledPage('acme', 'dated', { version: 0n, body: Buffer.from(`<p>${text}</p>`) })
  const old = await services.codec.encode('pages.crawled', page('the old price '.repeat(40)))
  await bury({ origin: 900, value: old, code: 'dated' })
  await world.produce('pages.crawled', [page('the new price '.repeat(40))])
  await world.spawnStages(['processor'])
  await world.drained('processor', 120_000)
  t.match(await dlq.redrive({ topic: 'pages.crawled', code: 'dated' }, { actor }), { redriven: 1 })
  await world.drained('processor', 120_000)
  await world.drained('chunker', 120_000)
  const sources = (await db('sources').whereLike('url', '%/dated')) as { id: string }[]
  const contents = (await db('tenant_knowledge').where({ source_id: sources[0]!.id })).map(({ content }) =>
    String(content),
  )
  t.ok(contents.length > 0 && contents.every((content) => content.includes('new price')), 'the newer page stays')
})

t.test('reading leaves no consumer group behind', async (t) => {
  const { groups } = await world.admin.listGroups()
  t.strictSame(
    groups.filter(({ groupId }) => groupId.startsWith(prefix) && groupId.includes('.dlq.')),
    [],
  )
})
