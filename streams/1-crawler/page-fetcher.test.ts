import t from 'tap'
import type { PageCrawled } from '../../schemas/generated/types.ts'
import { StageError } from '../errors.ts'
import { createPageFetcher } from './page-fetcher.ts'
import type { FetchOptions, FetchResponse, LeasedUrl, PageResult, RobotsVerdict } from './ports.ts'

const NOW = 1_900_000_000_000
const url = 'https://www.example.com/a'
const lease: LeasedUrl = {
  tenantId: 'acme',
  crawlId: 'c1',
  url,
  depth: 1,
  maxDepth: 3,
  chunkType: 'website',
  attempts: 1,
  owner: 'me',
  host: 'www.example.com',
  hostState: { delayMs: 0, backoffMs: 0, backoffAtMs: 0 },
  version: 0n,
  previous: undefined,
}
const html = { 'content-type': 'text/html' }
const answer = (given: Partial<Omit<FetchResponse, 'body'>> & { body?: string | Buffer } = {}): FetchResponse => ({
  status: 200,
  url,
  headers: html,
  ...given,
  body: Buffer.from(given.body ?? '<a href="/b">B</a>'),
})

interface World {
  response?: FetchResponse | Error
  robots?: (url: string) => RobotsVerdict
  redirects?: string[]
  leased?: Partial<LeasedUrl>
}

async function run(
  { response = answer(), robots, redirects = [], leased = {} }: World,
  signal = new AbortController().signal,
) {
  const requests: FetchOptions[] = []
  const fetchPage = createPageFetcher({
    robots: { check: async (target) => robots?.(target) ?? { allowed: true, crawlDelayMs: 0 } },
    fetch: async (_, options = {}) => {
      requests.push(options)
      if (response instanceof Error) throw response
      for (const target of redirects) if (!(await options.followRedirect!(target))) return { ...response, status: 302 }
      const wanted = options.wantBody!(response.status, response.headers)
      return wanted ? response : { ...response, body: Buffer.alloc(0) }
    },
    clock: { now: () => NOW },
    agent: 'sluice',
    maxBytes: 1000,
    floorMs: () => 250,
    retryDelaysMs: [1_000, 10_000],
    random: () => 0,
  })
  const result = await fetchPage({ ...lease, ...leased }, signal)
  return { result, requests, record: recordOf(result) }
}

const recordOf = (result: PageResult) => ('records' in result ? (result.records[0]!.value as PageCrawled) : undefined)

t.test('a page is published as it came, with all that is known of it', async (t) => {
  const headers = { 'content-type': 'text/html; charset=utf-8', etag: '"1"', 'last-modified': 'today' }
  const { result, record } = await run({
    response: answer({ headers, body: '<link rel=canonical href=/x><a href=/b>' }),
  })
  t.same(record, {
    tenant_id: 'acme',
    url,
    body: Buffer.from('<link rel=canonical href=/x><a href=/b>'),
    content_type: 'text/html; charset=utf-8',
    chunk_type: 'website',
    version: BigInt(NOW) * 1000n,
    status: 'FETCHED',
    canonical_url: 'https://www.example.com/x',
    fetched_at: BigInt(NOW) * 1000n,
    http_status: 200,
    etag: '"1"',
    last_modified: 'today',
    crawl_id: 'c1',
    depth: 1,
  })
  t.match(result, {
    outcome: 'fetched',
    hostDelayMs: 250,
    records: [{ topic: 'pages.crawled', tenantId: 'acme' }],
    page: { etag: '"1"', links: ['https://www.example.com/x', 'https://www.example.com/b'] },
  })
})

t.test('a version is beyond the last one whatever the clock says', async (t) => {
  const last = BigInt(NOW) * 1000n + 3_600_000_000n
  t.equal((await run({ leased: { version: last } })).record!.version, last + 1n)
})

t.test('gone: 404, 410, noindex in a header or in the page', async (t) => {
  const noindex = '<meta name=robots content=noindex><link rel=canonical href=/x><a href=/b>'
  for (const response of [
    answer({ status: 404 }),
    answer({ status: 410 }),
    answer({ headers: { ...html, 'x-robots-tag': ['otherbot: nofollow', 'noindex'] } }),
    answer({ body: noindex }),
  ]) {
    const { result, record } = await run({ response })
    t.match(result, { outcome: 'gone' })
    t.match(record, { status: 'GONE', canonical_url: url, content_type: '' })
    t.equal(record!.body.length, 0)
  }
  t.match((await run({ response: answer({ body: noindex }) })).result, {
    reason: 'noindex',
    page: { links: ['https://www.example.com/x', 'https://www.example.com/b'] },
  })
})

t.test('what has not changed is not published: a 304, or the same bytes again', async (t) => {
  const { result } = await run({})
  const { bodyHash } = (result as Extract<PageResult, { page: unknown }>).page
  const previous = { etag: '"1"', lastModified: 'then', bodyHash }
  const again = await run({ leased: { previous, version: 5n }, response: answer({ status: 304 }) })
  t.match(again.result, { outcome: 'unchanged', links: undefined })
  t.match(again.requests[0]!.headers, { 'if-none-match': '"1"', 'if-modified-since': 'then' })
  t.match((await run({ leased: { previous, version: 5n } })).result, {
    outcome: 'unchanged',
    links: ['https://www.example.com/b'],
  })
  t.match((await run({ leased: { previous }, response: answer({ body: 'other' }) })).result, { outcome: 'fetched' })
})

t.test('a page that was gone is asked for in full', async (t) => {
  const { requests } = await run({ leased: { previous: { etag: '"1"', lastModified: '', bodyHash: '' } } })
  t.notOk('if-none-match' in requests[0]!.headers!)
})

t.test('what is no page is skipped without its body', async (t) => {
  for (const type of ['application/pdf', 'image/png', 'application/json', 'text/css', 'text/htmlx']) {
    const { result, requests } = await run({ response: answer({ headers: { 'content-type': type } }) })
    t.match(result, { outcome: 'skipped', reason: 'content_type' }, type)
    t.equal(requests[0]!.wantBody!(200, { 'content-type': type }), false)
  }
  for (const type of [
    'text/html',
    'TEXT/HTML;charset=x',
    'application/xhtml+xml',
    'text/plain',
    'text/markdown; charset=utf-8',
  ])
    t.match(
      (await run({ response: answer({ headers: { 'content-type': type } }) })).result,
      { outcome: 'fetched' },
      type,
    )
})

t.test('without a Content-Type markup is a page and other bytes are not', async (t) => {
  t.match((await run({ response: answer({ headers: {}, body: '\n<!DOCTYPE html><p>x' }) })).record, {
    content_type: 'text/html',
  })
  t.match((await run({ response: answer({ headers: {}, body: '%PDF-1.7' }) })).result, { outcome: 'skipped' })
})

t.test('links are found in the page’s own charset', async (t) => {
  const body = Buffer.concat([
    Buffer.from('<meta charset=shift_jis><a href="/b">'),
    Buffer.from([0x83, 0x5c]),
    Buffer.from('</a><a href="/c">'),
  ])
  t.match((await run({ response: answer({ body }) })).result, {
    page: { links: ['https://www.example.com/b', 'https://www.example.com/c'] },
  })
})

t.test('robots.txt forbids, also the target of a redirect', async (t) => {
  const forbidden = (bad: string) => (target: string) => ({ allowed: target !== bad, crawlDelayMs: 0 })
  const { result, requests } = await run({ robots: forbidden(url) })
  t.match(result, { outcome: 'skipped', reason: 'robots' })
  t.equal(requests.length, 0)
  const target = 'https://www.example.com/private'
  t.match((await run({ robots: forbidden(target), redirects: [target] })).result, {
    outcome: 'skipped',
    reason: 'redirect',
  })
})

t.test('an unreachable robots.txt puts the page off until it may be there', async (t) => {
  const robots = () => ({ allowed: false, crawlDelayMs: 0, retryAfterMs: 60_000 })
  t.match((await run({ robots })).result, { outcome: 'retry', reason: 'robots_unreachable', delayMs: 60_000 })
  t.match((await run({ robots, leased: { attempts: 3 } })).result, { outcome: 'failed', reason: 'robots_unreachable' })
})

t.test('Crawl-delay makes the host rest', async (t) => {
  t.match((await run({ robots: () => ({ allowed: true, crawlDelayMs: 7_000 }) })).result, { hostDelayMs: 7_000 })
})

t.test('another site is reached by redirect from a start URL only', async (t) => {
  const redirects = ['https://elsewhere.example/']
  t.match((await run({ redirects })).result, { outcome: 'skipped', reason: 'redirect' })
  t.match((await run({ redirects, leased: { depth: 0 } })).result, { outcome: 'fetched' })
})

t.test('validators of a redirect’s target are not kept for its source', async (t) => {
  const response = answer({ url: 'https://www.example.com/new', headers: { ...html, etag: '"1"' } })
  const { result, record } = await run({ response })
  t.match(result, { page: { etag: '' } })
  t.match(record, { url: 'https://www.example.com/new', canonical_url: 'https://www.example.com/new' })
})

t.test('429 and 503 hold the host back', async (t) => {
  t.match((await run({ response: answer({ status: 429 }) })).result, {
    outcome: 'retry',
    delayMs: 60_000,
    hostDelayMs: 60_000,
    host: { backoffMs: 60_000, backoffAtMs: NOW },
  })
  const headers = { 'retry-after': '300' }
  t.match((await run({ response: answer({ status: 503, headers }) })).result, {
    outcome: 'retry',
    hostDelayMs: 300_000,
  })
})

t.test('passing failures are retried, then given up; lasting ones are given up at once', async (t) => {
  const passing = new StageError('fetch_timeout', 'x', { retriable: true })
  t.match((await run({ response: passing })).result, { outcome: 'retry', reason: 'fetch_timeout', delayMs: 1_000 })
  t.match((await run({ response: passing, leased: { attempts: 2 } })).result, { outcome: 'retry', delayMs: 10_000 })
  t.match((await run({ response: passing, leased: { attempts: 3 } })).result, {
    outcome: 'failed',
    reason: 'fetch_timeout',
  })
  t.match((await run({ response: answer({ status: 500 }) })).result, { outcome: 'retry', reason: 'http_500' })
  t.match((await run({ response: new Error('odd') })).result, { outcome: 'retry', reason: 'fetch_failed' })
  t.match((await run({ response: new StageError('fetch_refused', 'x') })).result, {
    outcome: 'failed',
    reason: 'fetch_refused',
  })
  t.match((await run({ response: new StageError('fetch_too_large', 'x') })).result, { outcome: 'skipped' })
  t.match((await run({ response: answer({ status: 403 }) })).result, { outcome: 'failed', reason: 'http_403' })
})

t.test('a stopped fetch is nobody’s result', async (t) => {
  await t.rejects(run({ response: new StageError('fetch_aborted', 'x', { retriable: true }) }, AbortSignal.abort()))
})
