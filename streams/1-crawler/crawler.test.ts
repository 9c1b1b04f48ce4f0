import t from 'tap'
import type { CrawlRequest } from '../../schemas/generated/types.ts'
import { crawler } from './crawler.ts'

const deps = { maxPages: 1000, maxDepth: 10 }
const request: CrawlRequest = {
  tenant_id: 'acme',
  urls: ['https://a.example/'],
  crawl_id: '',
  max_pages: 0,
  max_depth: -1,
  chunk_type: 'website',
  requested_at: 0n,
}
const handle = (value: Partial<CrawlRequest>) =>
  crawler.handle(
    {
      value: { ...request, ...value },
      tenantId: 'acme',
      timestampMs: 0,
      id: 'crawl.requests/3/17',
      attempt: 1,
      signal: new AbortController().signal,
    },
    deps,
  )

t.test('a request becomes start URLs, named after the record, with the defaults of this installation', async (t) => {
  t.same(
    await handle({ urls: ['https://A.example#x', 'https://a.example/', 'nonsense', 'https://b.example/?utm_id=1'] }),
    {
      kind: 'store',
      write: {
        type: 'frontier',
        tenantId: 'acme',
        crawlId: 'crawl.requests/3/17',
        urls: ['https://a.example/', 'https://b.example/'],
        maxPages: 1000,
        maxDepth: 10,
        chunkType: 'website',
      },
    },
  )
})

t.test('the request’s own limits hold, within reason', async (t) => {
  t.match(await handle({ crawl_id: 'c', max_pages: 5, max_depth: 0, chunk_type: 'manual' }), {
    write: { crawlId: 'c', maxPages: 5, maxDepth: 0, chunkType: 'manual' },
  })
  t.match(await handle({ max_pages: 2 ** 31 - 1, max_depth: 2 ** 31 - 1 }), {
    write: { maxPages: 100_000, maxDepth: 100 },
  })
  t.match(await handle({ max_pages: -3, max_depth: -7, chunk_type: '' }), {
    write: { maxPages: 1000, maxDepth: 10, chunkType: 'website' },
  })
})

t.test('a request without a usable URL is rejected', async (t) => {
  for (const urls of [[], ['/a'], ['ftp://a.example/']])
    t.match(await handle({ urls }), { kind: 'reject', error: { code: 'crawl_request_invalid', retriable: false } })
})
