import t from 'tap'
import { createTestDatabase } from '../../ops/testing/database.ts'
import type { HostState, LeasedUrl, PageResult } from '../../streams/1-crawler/ports.ts'
import type { FrontierAdmission } from '../../streams/writes.ts'
import { admitCrawls, createFrontier, deleteCrawls, jobProgress } from './frontier.ts'

const { db, close } = await createTestDatabase()
t.teardown(close)
t.beforeEach(() => db.raw('truncate crawl_jobs, crawl_frontier, crawl_hosts, web_pages'))

const T0 = Date.parse('2030-01-01T00:00:00Z')
const clock = { at: T0, now: () => clock.at }
t.beforeEach(() => void (clock.at = T0))

const frontier = createFrontier({
  db,
  slotsOf: (host) => (host.startsWith('fast.') ? 4 : 1),
  floorMs: (host) => (host.startsWith('fast.') ? 0 : 250),
  now: clock.now,
})
const lease = async (limit = 10, owner = 'one') => (await frontier.lease({ owner, limit, leaseMs: 60_000 })).leases

const admit = (urls: string[], given: Partial<FrontierAdmission> = {}) =>
  db.transaction(async (trx) => {
    const crawl = { tenantId: 'acme', crawlId: 'c1', urls, maxPages: 100, maxDepth: 3, chunkType: 'website' }
    return (await admitCrawls(trx, [{ type: 'frontier', ...crawl, ...given }]))[0]!
  })

const calm: HostState = { delayMs: 0, backoffMs: 0, backoffAtMs: 0 }
const settled = { reason: '', host: calm, hostDelayMs: 0 }
type Completion = Exclude<PageResult, { outcome: 'retry' }>
const fetched = (links: string[] = [], page = {}): Completion => ({
  outcome: 'fetched',
  records: [],
  page: { etag: '"e"', lastModified: 'yesterday', bodyHash: 'abc', version: 7n, links, ...page },
  ...settled,
})
const fast = (n: number) => `https://fast.example/${n}`
const first = (leases: readonly LeasedUrl[]) => leases[0]!

t.test('a redelivered request admits nothing twice', async (t) => {
  t.equal(await admit([fast(1), fast(2), fast(1)]), 2)
  t.equal(await admit([fast(1), fast(2)]), 0)
  t.match(await jobProgress(db, 'acme', 'c1'), { status: 'running', admitted: 2, pending: 2, fetched: 0 })
  t.equal(await jobProgress(db, 'other', 'c1'), undefined)
})

t.test('the page limit is never overshot, by start URLs, by links, or by both at once', async (t) => {
  t.equal(await admit([1, 2, 3, 4].map(fast), { maxPages: 3 }), 3)
  await db.raw('truncate crawl_jobs, crawl_frontier, crawl_hosts, web_pages')
  await admit([1, 2, 3, 4].map(fast), { maxPages: 12 })
  const links = (from: number) => Array.from({ length: 10 }, (_, n) => fast(from + n))
  await Promise.all((await lease()).map((leased, n) => frontier.complete(leased, fetched(links(100 + n * 5)))))
  t.match(await jobProgress(db, 'acme', 'c1'), { admitted: 12, fetched: 4, pending: 8 })
  t.equal(Number((await db('crawl_frontier').count('* as n').first())!['n']), 12)
})

t.test('one host has one page in flight, whoever asks, and rests between two', async (t) => {
  await admit(['https://slow.example/1', 'https://slow.example/2'])
  await admit(['https://slow.example/1'], { tenantId: 'other' })
  const leases = (await Promise.all([lease(10, 'one'), lease(10, 'two'), lease(10, 'three')])).flat()
  t.equal(leases.length, 1)
  clock.at += 10_000
  t.equal((await lease()).length, 0, 'still in flight')
  t.equal(await frontier.complete(first(leases), { ...fetched(), hostDelayMs: 400 }), true)
  clock.at += 399
  t.equal((await lease()).length, 0, 'the host rests')
  t.equal((await frontier.lease({ owner: 'one', limit: 1, leaseMs: 60_000 })).nextInMs, 1)
  clock.at += 1
  t.equal((await lease()).length, 1)
})

t.test('a host allowed by name has several slots, and no more', async (t) => {
  await admit([1, 2, 3, 4, 5, 6].map(fast))
  const leases = (await Promise.all([lease(3), lease(3)])).flat()
  t.ok(leases.length <= 4 && leases.length >= 3)
  while (leases.length < 4) leases.push(...(await lease()))
  t.equal((await lease()).length, 0)
  t.equal(new Set(leases.map(({ url }) => url)).size, 4)
  await frontier.complete(first(leases), fetched())
  t.equal((await lease()).length, 1)
})

t.test('many hosts are leased side by side, up to the limit', async (t) => {
  await admit(Array.from({ length: 8 }, (_, n) => `https://h${n}.example/`))
  const [one, two] = await Promise.all([lease(5, 'one'), lease(5, 'two')])
  const rest = await lease(5)
  t.equal(new Set([...one, ...two, ...rest].map(({ url }) => url)).size, 8)
  t.ok(one.length <= 5 && two.length <= 5)
})

t.test('links are admitted one deeper, each once, and not below the deepest level', async (t) => {
  await admit([fast(1)], { maxDepth: 1 })
  await frontier.complete(first(await lease()), fetched([fast(1), fast(2), fast(3), fast(2)]))
  const leases = await lease()
  t.same(leases.map(({ url, depth }) => [url, depth]).sort(), [
    [fast(2), 1],
    [fast(3), 1],
  ])
  await frontier.complete(first(leases), fetched([fast(9)]))
  t.match(await jobProgress(db, 'acme', 'c1'), { admitted: 3, fetched: 2, status: 'running' })
})

t.test('links on another host of the site are found by the next lease', async (t) => {
  await admit(['https://www.slow.example/'])
  await frontier.complete(first(await lease()), fetched(['https://docs.slow.example/a']))
  t.equal(first(await lease()).url, 'https://docs.slow.example/a')
})

t.test('a lease that ran out is another worker’s, and its first owner can no longer write', async (t) => {
  await admit([fast(1)])
  const lost = first(await lease(1, 'one'))
  clock.at += 60_001
  const taken = first(await lease(1, 'two'))
  t.match(taken, { url: fast(1), attempts: 2, owner: 'two' })
  t.equal(await frontier.complete(lost, fetched([fast(2)])), false)
  t.equal(await frontier.retryLater(lost, { outcome: 'retry', delayMs: 0, ...settled }), false)
  t.equal(await frontier.release(lost, 0), false)
  t.match(await jobProgress(db, 'acme', 'c1'), { admitted: 1, fetched: 0 })
  t.equal(await frontier.complete(taken, fetched()), true)
  t.equal(await frontier.complete(taken, fetched()), false, 'once only')
  t.match(await jobProgress(db, 'acme', 'c1'), { fetched: 1, pending: 0, status: 'done' })
})

t.test('a worker that leases its own lost row again is told apart from its former self', async (t) => {
  await admit([fast(1)])
  const lost = first(await lease(1, 'one'))
  clock.at += 60_001
  const again = first(await lease(1, 'one'))
  t.equal(await frontier.complete(lost, fetched()), false)
  t.equal(await frontier.complete(again, fetched()), true)
})

t.test('under many workers no host ever has more in flight than its slots, and no page is fetched twice', async (t) => {
  const hosts = ['a', 'b', 'fast.c'].map((name) => `https://${name}.example`)
  for (const tenantId of ['acme', 'other'])
    await admit(
      hosts.map((host) => `${host}/${tenantId}`),
      { tenantId, maxPages: 40 },
    )
  const inFlight = new Map<string, number>()
  const done: string[] = []
  let most = { one: 0, four: 0 }
  const fetchOne = async (leased: LeasedUrl) => {
    const now = (inFlight.get(leased.host) ?? 0) + 1
    inFlight.set(leased.host, now)
    most = leased.host.startsWith('fast.')
      ? { ...most, four: Math.max(most.four, now) }
      : { ...most, one: Math.max(most.one, now) }
    await new Promise(setImmediate)
    inFlight.set(leased.host, inFlight.get(leased.host)! - 1)
    done.push(leased.tenantId + leased.url)
    const links = Array.from({ length: 15 }, (_, n) => `https://${leased.host}/${(done.length + n) % 30}`)
    t.equal(await frontier.complete(leased, fetched(links)), true)
  }
  const worker = async (owner: string) => {
    for (let turn = 0; turn < 200 && done.length < 80; turn++) {
      clock.at += 250
      await Promise.all((await lease(5, owner)).map(fetchOne))
    }
  }
  await Promise.all(['one', 'two', 'three', 'four', 'five', 'six'].map(worker))
  t.match(
    [await jobProgress(db, 'acme', 'c1'), await jobProgress(db, 'other', 'c1')],
    Array(2).fill({ status: 'done', admitted: 40, fetched: 40 }),
  )
  t.equal(new Set(done).size, done.length)
  t.equal(most.one, 1)
  t.ok(most.four <= 4)
})

t.test('a retry comes back later with its attempt counted, a release without', async (t) => {
  await admit([fast(1)])
  await frontier.retryLater(first(await lease()), { outcome: 'retry', delayMs: 5_000, ...settled })
  t.equal((await lease()).length, 0)
  clock.at += 5_000
  const again = first(await lease())
  t.equal(again.attempts, 2)
  await frontier.release(again, 0)
  t.equal(first(await lease()).attempts, 2)
})

t.test('a back-off holds up the whole host, for all tenants, and is remembered', async (t) => {
  await admit([1, 2, 3].map(fast))
  const [one, two] = await lease(2)
  const host = { delayMs: 0, backoffMs: 60_000, backoffAtMs: clock.at }
  await frontier.retryLater(one!, { outcome: 'retry', reason: 'http_429', delayMs: 60_000, host, hostDelayMs: 60_000 })
  await frontier.complete(two!, fetched())
  clock.at += 59_999
  t.equal((await lease()).length, 0)
  clock.at += 1
  t.match(first(await lease()), { hostState: { backoffMs: 60_000, backoffAtMs: T0 } })
})

t.test('a crawl is done when each of its pages came to an end, and every end is counted', async (t) => {
  await admit([1, 2, 3, 4, 5].map(fast))
  const outcomes: Completion[] = [
    fetched(),
    { ...fetched(), outcome: 'gone' } as Completion,
    { outcome: 'unchanged', links: undefined, ...settled },
    { outcome: 'skipped', ...settled, hostDelayMs: 0, reason: 'robots' },
    { outcome: 'failed', ...settled, hostDelayMs: 0, reason: 'http_403' },
  ]
  for (const outcome of outcomes) {
    t.equal((await jobProgress(db, 'acme', 'c1'))!.status, 'running')
    t.equal(await frontier.complete(first(await lease(1)), outcome), true)
  }
  t.same(await jobProgress(db, 'acme', 'c1'), {
    status: 'done',
    maxPages: 100,
    admitted: 5,
    fetched: 1,
    gone: 1,
    unchanged: 1,
    skipped: 1,
    failed: 1,
    pending: 0,
  })
})

t.test('the next crawl knows the page, and an unchanged page’s links are followed from memory', async (t) => {
  await admit([fast(1)])
  t.equal(first(await lease()).previous, undefined)
  clock.at += 60_001
  await frontier.complete(first(await lease()), fetched([fast(2)]))
  await admit([fast(1)], { crawlId: 'c2' })
  const again = (await lease()).find(({ crawlId }) => crawlId === 'c2')!
  t.match(again, { version: 7n, previous: { etag: '"e"', lastModified: 'yesterday', bodyHash: 'abc' } })
  await frontier.complete(again, { outcome: 'unchanged', links: undefined, ...settled })
  t.match(await jobProgress(db, 'acme', 'c2'), { admitted: 2, unchanged: 1 })
})

t.test('as another kind of knowledge a page is new, yet its version goes on', async (t) => {
  await admit([fast(1)])
  await frontier.complete(first(await lease()), fetched())
  await admit([fast(1)], { crawlId: 'c2', chunkType: 'manual' })
  t.match(first(await lease()), { version: 7n, previous: undefined, chunkType: 'manual' })
})

t.test('an older version does not overwrite a newer one’s state', async (t) => {
  for (const [crawlId, version] of [
    ['c1', 9n],
    ['c2', 8n],
  ] as const) {
    await admit([fast(1)], { crawlId })
    await frontier.complete(first(await lease()), fetched([], { version, etag: crawlId }))
  }
  t.match(await db('web_pages').first(), { version: '9', etag: 'c1' })
})

t.test('very long URLs are no problem for the indexes', async (t) => {
  const url = fast(1) + '?q=' + 'x'.repeat(20_000)
  t.equal(await admit([url]), 1)
  t.equal(first(await lease()).url, url)
})

t.test('deleting a tenant takes its crawls and leaves others’', async (t) => {
  await admit([fast(1)])
  await admit([fast(1)], { tenantId: 'other' })
  const leases = await lease()
  await db.transaction((trx) => deleteCrawls(trx, 'acme'))
  const results = await Promise.all(leases.map((leased) => frontier.complete(leased, fetched())))
  t.same(
    results,
    leases.map(({ tenantId }) => tenantId === 'other'),
  )
  t.equal(await jobProgress(db, 'acme', 'c1'), undefined)
  t.match(await jobProgress(db, 'other', 'c1'), { fetched: 1, status: 'done' })
})

t.test('pages of excepted tenants stay, and their hosts take nobody’s turn', async (t) => {
  await admit(['https://a.example/1', 'https://b.example/1'], { tenantId: 'paused' })
  await admit(['https://c.example/1'], { tenantId: 'acme' })
  const ask = { owner: 'one', limit: 1, leaseMs: 60_000 }
  const { leases } = await frontier.lease({ ...ask, except: ['paused'] })
  t.strictSame(
    leases.map(({ url }) => url),
    ['https://c.example/1'],
  )
  t.strictSame((await frontier.lease({ ...ask, limit: 10, except: ['paused'] })).leases, [])
  t.equal((await frontier.lease({ ...ask, limit: 10 })).leases.length, 2)
})
