/** The console's server behind a real admin port, over fake sources. */
import { once } from 'node:events'
import { request } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { startAdmin } from '../admin.ts'
import { createMetrics } from '../metrics.ts'
import { systemClock } from '../../streams/runtime/ports.ts'
import type { Clock } from '../../streams/runtime/ports.ts'
import { fakeSources, letterRow } from '../testing/console-sources.ts'
import { eventually } from '../testing/eventually.ts'
import { createFakeClock } from '../testing/fake-clock.ts'
import { createConsole } from './console.ts'
import { SAMPLES, SAMPLE_MS, createHistory } from './history.ts'
import type { Sources } from './ports.ts'
import { createTenantMeter } from './tenant-meter.ts'

const TOKEN = 'a-token-of-sixteen-or-more'
const quiet = { info: () => {}, warn: () => {} }

interface Test {
  readonly teardown: (close: () => Promise<void>) => unknown
}

interface Options {
  readonly token?: string
  readonly clock?: Clock
  readonly change?: Partial<Sources>
}

async function open(t: Test, { token, clock = systemClock, change = {} }: Options = {}) {
  const fake = fakeSources()
  const console = createConsole({ sources: { ...fake.sources, ...change }, token, clock, logger: quiet })
  const admin = await startAdmin({ host: '127.0.0.1', port: 0, token, stages: [], metrics: createMetrics(), console })
  t.teardown(admin.close)
  const send = async (method: string, path: string, headers: Record<string, string> = {}, body?: string) => {
    const asked = request({ port: admin.port, path, method, headers }).end(body)
    const [answer] = (await once(asked, 'response')) as [IncomingMessage]
    return answer
  }
  const whole = async (...args: Parameters<typeof send>) => {
    const answer = await send(...args)
    return { status: answer.statusCode, headers: answer.headers, body: await text(answer) }
  }
  const act = (path: string, body: object, headers: Record<string, string> = {}) =>
    whole('POST', path, { 'content-type': 'application/json', ...headers }, JSON.stringify(body))
  return { ...fake, send, whole, act, url: admin.url }
}
t.test('the page and its files come with the policy; no path reaches other files', async (t) => {
  const { whole } = await open(t)
  const page = await whole('GET', '/')
  t.match(page, { status: 200, headers: { 'content-type': 'text/html; charset=utf-8', 'x-frame-options': 'DENY' } })
  t.match(page.headers['content-security-policy'], "frame-ancestors 'none'")
  t.notMatch(page.body, /<script(?![^>]* src=)|<style| on\w+=| style=/, 'nothing is inline')
  t.match(await whole('GET', '/console/main.js'), {
    status: 200,
    headers: { 'content-type': /^text\/javascript/, 'x-content-type-options': 'nosniff' },
  })
  for (const path of [
    '/console/../console.ts',
    '/console/%2e%2e/admin.ts',
    '/console/',
    '/console/main.ts',
    '//console/main.js',
  ])
    t.ok((await whole('GET', path)).status! >= 400, path)
})

t.test('a command is a POST with JSON, and says who gave it', async (t) => {
  const { act, calls } = await open(t)
  t.match(await act('/api/pause', { stage: 'chunker', reason: 'a disk', by: 'Ada' }), { status: 200 })
  t.match(await act('/api/resume', { tenant: 'a/b' }), { status: 200, body: /"lifted":true/ })
  t.match(await act('/api/limit', { resource: 'embeddings', inFlight: '8' }), { status: 200 })
  t.strictSame(calls, [
    ['pause', { stage: 'chunker', tenant: '', partition: -1 }, { reason: 'a disk', by: 'Ada (console)' }],
    ['resume', { stage: '', tenant: 'a/b', partition: -1 }],
    ['limit', 'embeddings', { inFlight: '8' }, { tenant: '', reason: '', by: 'console' }],
  ])
})

t.test('GET changes nothing, and what is not meant so is refused before anything is done', async (t) => {
  const { whole, act, calls } = await open(t)
  for (const path of ['/api/pause?stage=chunker', '/api/dead-letters/discard?topic=x', '/api/replays/start'])
    t.equal((await whole('GET', path)).status, 404, path)
  t.equal((await whole('PUT', '/api/pause', { 'content-type': 'application/json' }, '{}')).status, 405)
  t.equal((await act('/api/pause', {})).status, 400, 'pause what?')
  t.equal((await act('/api/pause', { stage: 'chunkr' })).status, 400)
  t.equal((await act('/api/pause', { stage: 'chunker', extra: 1 })).status, 400, 'a word that is not known')
  t.equal(
    (await act('/api/dead-letters/discard', { topic: 'pages.crawled', reason: ' ' })).status,
    400,
    'a reason is kept',
  )
  t.equal((await act('/api/pause', { stage: 'chunker', reason: 'x'.repeat(300_000) })).status, 400)
  t.equal((await whole('POST', '/api/pause', { 'content-type': 'application/json' }, '{')).status, 400)
  t.equal((await act('/api/pause', { stage: 'all' }, { origin: 'http://evil.example' })).status, 403)
  t.equal((await act('/api/pause', { stage: 'all' }, { 'sec-fetch-site': 'cross-site' })).status, 403)
  t.equal((await act('/api/pause', { stage: 'all' }, { host: 'evil.example' })).status, 421)
  t.equal((await whole('POST', '/api/pause', { 'content-type': 'text/plain' }, '{"stage":"all"}')).status, 415)
  t.equal((await whole('GET', '/events', { 'sec-fetch-site': 'cross-site' })).status, 403)
  t.strictSame(calls, [])
})

t.test('with a token the page is there for everybody, and tells nothing without it', async (t) => {
  const { whole, act, send } = await open(t, { token: TOKEN })
  t.equal((await whole('GET', '/')).status, 200)
  for (const path of ['/events', '/api/crawl?tenant=a&id=b', '/status'])
    t.equal((await whole('GET', path)).status, 401, path)
  t.equal((await act('/api/pause', { stage: 'all' })).status, 401)
  t.equal((await act('/api/pause', { stage: 'all' }, { authorization: `Bearer ${TOKEN}` })).status, 200)
  const events = await send('GET', '/events', { authorization: `Bearer ${TOKEN}`, host: '10.0.0.1:9400' })
  t.equal(events.statusCode, 200)
  events.destroy()
})

t.test('a console gets the history first, then what is new; a title cannot begin an event of its own', async (t) => {
  const { send, shown } = await open(t)
  shown.letters = [letterRow('x\n\nevent: hello\ndata: {"history":[]}\n\n')]
  const events = await send('GET', '/events')
  t.match(events.headers['content-type'], 'text/event-stream')
  let seen = ''
  for await (const part of events as AsyncIterable<Buffer>) {
    seen += part.toString()
    if (
      ['figures', 'lag', 'tenants', 'crawls', 'dead-letters', 'replays'].every((name) =>
        seen.includes(`event: ${name}\n`),
      )
    )
      break
  }
  t.match(seen, /^event: hello\ndata: \{"topology":.*"history":\[\{/)
  t.equal(seen.match(/^event: hello$/gm)?.length, 1)
})

t.test('nobody looks: only memory is read, every 5 s; the last who leaves ends the questions', async (t) => {
  const clock = createFakeClock()
  let asked = 0
  const lag = async () => ((asked += 1), [])
  const { send } = await open(t, { clock, change: { lag } })
  await clock.advance(60_000)
  t.equal(asked, 0)
  t.equal(clock.pending(), 1, 'the history')
  const events = await send('GET', '/events')
  await once(events, 'readable')
  await clock.advance(9_000)
  t.equal(asked, 4, 'at once, and every 3 s')
  events.destroy()
  await eventually(
    'the questions have ended',
    async () => (await clock.settle(), clock.pending()),
    (left) => left === 1,
  )
  await clock.advance(60_000)
  t.equal(asked, 4)
})

t.test('what cannot be read says so in its own event, and the others go on', async (t) => {
  const tenants = () => Promise.reject(new Error('relation "crawl_jobs" does not exist'))
  const { send } = await open(t, { change: { tenants } })
  let seen = ''
  for await (const part of (await send('GET', '/events')) as AsyncIterable<Buffer>) {
    seen += part.toString()
    if (seen.includes('event: tenants') && seen.includes('event: crawls')) break
  }
  t.match(seen, /event: tenants\ndata: \{"error":".*does not exist","hint":"Run `sluice migrate up`."\}/)
  t.match(seen, /event: crawls\ndata: \{"rows":/)
})

t.test('the history holds 15 minutes', async (t) => {
  const clock = createFakeClock()
  const { sources } = fakeSources(clock.now)
  const history = createHistory(sources.sample, clock)
  await clock.advance(3_600_000)
  t.equal(history.all().length, SAMPLES)
  t.equal(history.all().at(-1)!.atMs - history.all()[0]!.atMs, 15 * 60_000 - SAMPLE_MS)
  history.close()
  t.equal(clock.pending(), 0)
})

t.test('tenants are metered within a bound: who was silent longest goes first', async (t) => {
  const clock = createFakeClock()
  const meter = createTenantMeter(clock, 2)
  await clock.advance(10_000)
  for (const tenantId of ['a', 'b', 'a', 'c']) meter.settled('chunker', 'retry', { tenantId })
  meter.settled('chunker', 'done', {})
  t.match(meter.figures(), [{ tenant: 'c' }, { tenant: 'a', failures: 2 }])
  t.equal(meter.figures().length, 2)
})
