import t from 'tap'
import type { Test } from 'tap'
import type { Faults, LoggedRequest } from './embeddings-server.ts'
import { startEmbeddingsServer } from './embeddings-server.ts'
import { createCapacity, createLatency, createRate, durationOf, preciseNow } from './embeddings-load.ts'

const started = async (test: Test, faults: Faults = {}) => {
  const server = await startEmbeddingsServer({ faults })
  test.teardown(server.close)
  return server
}
const post = (url: string, ...input: string[]) =>
  fetch(`${url}/embeddings`, { method: 'POST', body: JSON.stringify({ model: 'm', input, dimensions: 8 }) })

t.test('a rate lets an even flow pass for ever, and no more than the burst ahead of it', async (t) => {
  let nowMs = 1_000_000
  const rate = createRate({ requestsPerMinute: 240, burstMs: 1000 }, () => nowMs)
  for (let i = 0; i < 1000; i++, nowMs += 250) t.equal(rate.take(1), 0)
  nowMs += 60_000
  const passed = Array.from({ length: 10 }, () => rate.take(1)).filter((wait) => wait === 0).length
  t.equal(passed, 5)
  t.equal(rate.take(1), 250)
  nowMs += 250
  t.equal(rate.take(1), 0)
})

t.test('tokens are a debt: a large request passes, the next waits until it is earned back', async (t) => {
  let nowMs = 1_000_000
  const rate = createRate({ requestsPerMinute: 6000, tokensPerMinute: 60_000, burstMs: 0 }, () => nowMs)
  t.equal(rate.take(5000), 0)
  t.equal(rate.take(1), 5000)
  t.same(rate.headers(), {
    'x-ratelimit-limit-requests': '6000',
    'x-ratelimit-remaining-requests': '0',
    'x-ratelimit-reset-requests': '10ms',
    'x-ratelimit-limit-tokens': '60000',
    'x-ratelimit-remaining-tokens': '0',
    'x-ratelimit-reset-tokens': '5s',
  })
  nowMs += 5000
  t.equal(rate.take(1), 0)
  t.same([0.2, 20, 1500, 60_000, 360_000].map(durationOf), ['1ms', '20ms', '1.5s', '1m0s', '6m0s'])
})

t.test('beyond the rate: 429 with both forms of Retry-After; every answer names the limits', async (t) => {
  const { url } = await started(t, { rate: { requestsPerMinute: 1, burstMs: 0 } })
  const [first, second] = [await post(url, 'a'), await post(url, 'a')]
  t.same([first.status, second.status], [200, 429])
  for (const { headers } of [first, second]) t.equal(headers.get('x-ratelimit-limit-requests'), '1')
  const retryAfterMs = Number(second.headers.get('retry-after-ms'))
  t.ok(retryAfterMs > 0 && retryAfterMs <= 60_000)
  t.equal(Number(second.headers.get('retry-after')), Math.ceil(retryAfterMs / 1000))
  t.match(await second.json(), { error: { code: 'rate_limit_exceeded' } })
})

t.test('an outage refuses everybody until its time', async (t) => {
  const server = await started(t, { refuse: { status: 503, retryAfter: '7' } })
  const refused = await post(server.url, 'a')
  t.same([refused.status, refused.headers.get('retry-after')], [503, '7'])
  server.setFaults({ refuse: { status: 429, code: 'insufficient_quota', untilMs: preciseNow() + 3_600_000 } })
  const broke = await post(server.url, 'a')
  t.same([broke.status, broke.headers.get('retry-after')], [429, null])
  t.match(await broke.json(), { error: { code: 'insufficient_quota' } })
  server.setFaults({ refuse: { status: 503, untilMs: preciseNow() - 1 } })
  t.equal((await post(server.url, 'a')).status, 200)
})

t.test('a capacity serves so many at once, in the order they came', async (t) => {
  const finish: (() => void)[] = []
  const serve = createCapacity({ servers: 2, serviceMs: 5 }, () => new Promise((resolve) => finish.push(resolve)))
  const done: number[] = []
  const all = [0, 1, 2, 3].map((i) => serve().then(() => done.push(i)))
  t.equal(finish.length, 2)
  for (let i = 0; i < 4; i++) {
    finish[i]?.()
    await all[i]
    await new Promise((resolve) => setImmediate(resolve))
    t.equal(finish.length, Math.min(4, i + 3))
  }
  t.same(done, [0, 1, 2, 3])
})

t.test('a request that waits in line is in flight', async (t) => {
  const server = await started(t, { capacity: { servers: 1, serviceMs: 1 } })
  const statuses = (await Promise.all(['a', 'b', 'c'].map((text) => post(server.url, text)))).map((r) => r.status)
  t.same(statuses, [200, 200, 200])
  t.ok(server.log.every(({ inFlight }) => inFlight >= 1 && inFlight <= 3))
})

t.test('latencies spread over their range and are the same every time', async (t) => {
  const draw = () => {
    const latency = createLatency([100, 200])
    return Array.from({ length: 1000 }, () => latency())
  }
  t.same(draw(), draw())
  t.ok(draw().every((ms) => ms >= 100 && ms <= 200))
  for (const quarter of [0, 1, 2, 3]) t.ok(draw().some((ms) => Math.floor((ms - 100) / 25) === quarter))
  t.equal(createLatency(7)(), 7)
})

t.test('the log has arrival, end, load and markers, and is read in pages', async (t) => {
  const server = await started(t, { next: [{ kind: 'cut' }] })
  const before = preciseNow()
  await t.rejects(post(server.url, 'cut'))
  await post(server.url, 'bench:acme-1 and more', 'again bench:acme-1', 'bench:other_2.', 'none')
  await post(server.url, 'x')
  const read = async (query: string) =>
    (await (await fetch(`${server.url.replace('/v1', '')}/log${query}`)).json()) as LoggedRequest[]
  const all = await read('')
  t.same(
    all.map(({ seq, status, inputs, markers }) => ({ seq, status, inputs, markers })),
    [
      { seq: 0, status: 0, inputs: 1, markers: [] },
      { seq: 1, status: 200, inputs: 4, markers: ['acme-1', 'other_2'] },
      { seq: 2, status: 200, inputs: 1, markers: [] },
    ],
  )
  for (const { atMs, endMs, inFlight } of all) {
    t.ok(before <= atMs && atMs <= (endMs ?? 0) && (endMs ?? 0) <= preciseNow())
    t.equal(inFlight, 1)
  }
  t.same(await read('?since=2'), all.slice(2))
  t.same(await read('?since=3'), [])
})

t.test('a request that its client gave up has no status, and ends when the connection does', async (t) => {
  const server = await started(t, { capacity: { servers: 1, serviceMs: 300 } })
  const abort = new AbortController()
  const body = JSON.stringify({ model: 'm', input: 'gone' })
  const gone = fetch(`${server.url}/embeddings`, { method: 'POST', body, signal: abort.signal })
  const stats = async () =>
    (await fetch(`${server.url.replace('/v1', '')}/stats`)).json() as Promise<{ maxInFlight: number }>
  while ((await stats()).maxInFlight === 0);
  abort.abort()
  await t.rejects(gone)
  // The line goes on behind it: who comes next is served after it.
  t.equal((await post(server.url, 'next')).status, 200)
  t.match(server.log, [{ status: 0, endMs: Number }, { status: 200 }])
})
