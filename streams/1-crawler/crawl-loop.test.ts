import t from 'tap'
import { StageError } from '../errors.ts'
import { createCrawlLoop, type CrawlLoopOptions } from './crawl-loop.ts'
import type { LeasedUrl, PageResult } from './ports.ts'

const fetched = {
  outcome: 'fetched',
  records: [{ topic: 'pages.crawled', tenantId: 'acme', value: {} }],
} as unknown as PageResult

/** A clock whose sleepers wake when the test says so. */
function fakeClock() {
  const sleepers = new Set<() => void>()
  const clock = {
    at: 0,
    now: () => clock.at,
    sleep: (_: number, signal: AbortSignal) =>
      new Promise<void>((resolve) => {
        const wake = () => (sleepers.delete(wake), resolve())
        sleepers.add(wake)
        signal.addEventListener('abort', wake, { once: true })
      }),
    advance: (ms: number) => {
      clock.at += ms
      for (const wake of sleepers) wake()
    },
  }
  return clock
}

/** A frontier of `n` URLs that hands each out once, and a journal of what happened in which order. */
function world(n: number, given: Partial<CrawlLoopOptions> = {}) {
  const queue = Array.from({ length: n }, (_, i) => ({ url: `u${i}`, attempts: 1 }) as LeasedUrl)
  const journal: string[] = []
  const limits: number[] = []
  const watchers: { pattern: RegExp; times: number; resolve: () => void }[] = []
  const note = (line: string) => {
    journal.push(line)
    for (const { pattern, times, resolve } of watchers)
      if (journal.filter((l) => pattern.test(l)).length >= times) resolve()
  }
  const seen = (pattern: RegExp, times = 1) =>
    new Promise<void>((resolve) => {
      watchers.push({ pattern, times, resolve })
      if (journal.filter((l) => pattern.test(l)).length >= times) resolve()
    })
  const clock = fakeClock()
  const loop = createCrawlLoop({
    frontier: {
      lease: async ({ limit }) => {
        limits.push(limit)
        const leases = queue.splice(0, limit)
        note(`lease ${leases.length}`)
        return { leases, nextInMs: undefined }
      },
      complete: async ({ url }, { outcome }) => (note(`complete ${url} ${outcome}`), true),
      retryLater: async ({ url }) => (note(`retry ${url}`), true),
      release: async ({ url }, delayMs) => (note(`release ${url} ${delayMs}`), true),
    },
    fetchPage: async ({ url }) => (note(`fetch ${url}`), fetched),
    publish: async (records) => note(`publish ${records.length}`),
    clock,
    logger: { info: () => {}, warn: () => {} },
    owner: 'me',
    maxInFlight: 2,
    leaseMs: 1000,
    pollMs: 100,
    troubleDelayMs: 50,
    ...given,
  })
  return { loop, queue, journal, limits, seen, clock, note }
}

t.test('a page is published before it is completed', async (t) => {
  const { loop, journal, seen } = world(1)
  loop.start()
  await seen(/complete/)
  await loop.stop(1000)
  t.same(
    journal.filter((line) => !line.startsWith('lease')),
    ['fetch u0', 'publish 1', 'complete u0 fetched'],
  )
})

t.test('all pages are fetched, never more at once than allowed', async (t) => {
  let now = 0
  let most = 0
  const { loop, seen, journal } = world(20, {
    maxInFlight: 3,
    fetchPage: async () => {
      most = Math.max(most, ++now)
      await new Promise(setImmediate)
      now--
      return fetched
    },
  })
  loop.start()
  await seen(/complete/, 20)
  await loop.stop(1000)
  t.equal(most, 3)
  t.equal(new Set(journal.filter((line) => line.startsWith('complete'))).size, 20)
})

t.test(
  'a page is not completed if publishing fails: it is given back, and the loop holds still for a while',
  async (t) => {
    let broken = true
    const { loop, journal, seen, clock, queue } = world(1, {
      publish: async () => {
        if (broken) throw new Error('no broker')
      },
    })
    loop.start()
    await seen(/release u0 50/)
    t.notOk(journal.some((line) => line.startsWith('complete')))
    broken = false
    queue.push({ url: 'u0', attempts: 1 } as LeasedUrl)
    const before = journal.filter((line) => line.startsWith('lease')).length
    loop.wake()
    await new Promise(setImmediate)
    t.equal(journal.filter((line) => line.startsWith('lease')).length, before)
    clock.advance(50)
    await seen(/complete u0/)
    await loop.stop(1000)
  },
)

t.test('a record that can never be published fails its page', async () => {
  const { loop, seen } = world(1, {
    publish: () => Promise.reject(new StageError('encode_failed', 'no such field')),
  })
  loop.start()
  await seen(/complete u0 failed/)
  await loop.stop(1000)
})

t.test('retries go back to the frontier, results without records are not published', async (t) => {
  const results = [{ outcome: 'retry' }, { outcome: 'skipped' }] as unknown as PageResult[]
  const { loop, journal, seen } = world(2, { fetchPage: async ({ url }) => results[Number(url.slice(1))]! })
  loop.start()
  await Promise.all([seen(/retry u0/), seen(/complete u1 skipped/)])
  await loop.stop(1000)
  t.notOk(journal.some((line) => line.startsWith('publish')))
})

t.test('an idle loop sleeps until it is woken', async () => {
  const { loop, seen, queue } = world(0)
  loop.start()
  await seen(/lease 0/)
  queue.push({ url: 'late' } as LeasedUrl)
  loop.wake()
  await seen(/complete late/)
  await loop.stop(1000)
})

t.test('a paused loop leases nothing', async (t) => {
  const { loop, limits, seen } = world(3)
  loop.pause()
  loop.start()
  loop.wake()
  await new Promise(setImmediate)
  t.equal(limits.length, 0)
  loop.resume()
  await seen(/complete/, 3)
  await loop.stop(1000)
})

t.test('a frontier that is away is tried again', async () => {
  const { seen, clock, note } = world(0)
  const fresh = world(1, {
    clock,
    frontier: {
      lease: async () => {
        note('lease failed')
        throw new Error('no database')
      },
      complete: async () => true,
      retryLater: async () => true,
      release: async () => true,
    },
  })
  fresh.loop.start()
  await seen(/lease failed/)
  await new Promise(setImmediate)
  clock.advance(50)
  await seen(/lease failed/, 2)
  await fresh.loop.stop(1000)
})

t.test('stop lets pages finish', async (t) => {
  const gate = Promise.withResolvers<void>()
  const { loop, journal, seen, note } = world(1, {
    fetchPage: async () => {
      note('fetch')
      await gate.promise
      return fetched
    },
  })
  loop.start()
  await seen(/fetch/)
  const stopped = loop.stop(1000)
  gate.resolve()
  await stopped
  t.ok(journal.includes('complete u0 fetched'))
  t.equal(loop.inFlight(), 0)
})

t.test('after the drain time pages are stopped and given back untried', async (t) => {
  const { loop, journal, seen, clock, note } = world(1, {
    fetchPage: (_, signal) =>
      new Promise((__, reject) => {
        note('fetch')
        signal.addEventListener('abort', () => reject(new Error('stopped')))
      }),
  })
  loop.start()
  await seen(/fetch/)
  const stopped = loop.stop(1000)
  await new Promise(setImmediate)
  clock.advance(1000)
  await stopped
  t.ok(journal.includes('release u0 0'))
  t.notOk(journal.some((line) => line.startsWith('complete')))
})

t.test('a page is leased only with a permit; what is not used is given back', async (t) => {
  const given: boolean[] = []
  let permits = 1
  const { loop, limits, seen, clock } = world(2, {
    permits: {
      take: () => {
        if (permits === 0) return undefined
        permits -= 1
        return (used) => void given.push(used)
      },
      nextInMs: () => 70,
    },
  })
  loop.start()
  await seen(/complete u0/)
  await new Promise(setImmediate)
  t.strictSame([limits, given], [[1], [true]])
  permits = 5
  clock.advance(70)
  await seen(/complete u1/)
  await seen(/lease 0/)
  await loop.stop(1000)
  t.equal(given.length, 6 - permits)
  t.equal(given.filter(Boolean).length, 2, 'one a page that was fetched')
})

t.test('pages of paused tenants are not asked for, and their backlog is no reason to look again at once', async (t) => {
  const asked: unknown[] = []
  const { loop, seen, note } = world(0, {
    pausedTenants: () => ['acme'],
    frontier: {
      lease: async (ask: { except?: readonly string[] }) => {
        asked.push(ask.except)
        note('lease')
        return { leases: [], nextInMs: 0 }
      },
    } as unknown as CrawlLoopOptions['frontier'],
  })
  loop.start()
  await seen(/lease/)
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate)
  t.strictSame(asked, [['acme']])
  await loop.stop(1000)
})

t.test('the age of the last turn tells a loop that hangs from one that has nothing to do', async (t) => {
  const hung = Promise.withResolvers<void>()
  let hang = false
  const idle = { leases: [], nextInMs: undefined }
  const { loop, clock } = world(0, {
    frontier: { lease: async () => (hang && (await hung.promise), idle) } as unknown as CrawlLoopOptions['frontier'],
  })
  t.equal(loop.turnAgeMs(), 0, 'not begun')
  loop.start()
  await settled()
  clock.advance(60_000)
  await settled()
  t.equal(loop.turnAgeMs(), 0, 'it woke and looked')
  hang = true
  clock.advance(60_000)
  await settled()
  clock.advance(60_000)
  t.equal(loop.turnAgeMs(), 60_000, 'since it asked the frontier, which does not answer')
  hung.resolve()
  await loop.stop(0)
  t.equal(loop.turnAgeMs(), 0, 'nor is it expected to turn any more')
})

t.test('all the work on a page is done within what stands around it', async (t) => {
  const { loop, seen, journal } = world(1, {
    around: async ({ url }, work) => {
      journal.push(`around ${url}`)
      await work()
      journal.push('around ended')
    },
  })
  loop.start()
  await seen(/complete/)
  await loop.stop(0)
  t.match(
    journal.filter((line) => !line.startsWith('lease')),
    ['around u0', 'fetch u0', /publish/, /complete/, 'around ended'],
  )
})

/** Whatever is under way in promises alone. */
const settled = () => new Promise((resolve) => setImmediate(resolve))
