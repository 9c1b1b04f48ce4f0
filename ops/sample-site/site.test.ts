import t from 'tap'
import { createGuardedFetch } from '../../connectors/web/guarded-fetch.ts'
import { createRobots } from '../../connectors/web/robots.ts'
import type { PageCrawled } from '../../schemas/generated/types.ts'
import { createPageFetcher } from '../../streams/1-crawler/page-fetcher.ts'
import type { LeasedUrl, PageResult } from '../../streams/1-crawler/ports.ts'
import { decode } from '../../streams/2-processor/charset.ts'
import { expectedPages, sampleQuestions, sampleTenants, startSampleSite } from './site.ts'

const site = await startSampleSite()
const hosts = site.tenants.map(({ url }) => new URL(url).host)
const web = createGuardedFetch({ allowHosts: hosts, userAgent: 'sluice/test' })
t.teardown(async () => {
  await web.close()
  await site.close()
})

const clock = { now: () => 1_900_000_000_000 }
const fetchPage = createPageFetcher({
  fetch: web.fetch,
  robots: createRobots({ fetch: web.fetch, clock, userAgent: 'sluice/test' }),
  clock,
  agent: 'sluice',
  maxBytes: 5_000_000,
  floorMs: () => 0,
  retryDelaysMs: [],
})

type Fetched = PageResult & { url: string; record: PageCrawled | undefined }

/** The whole crawl of one tenant, breadth first, as the frontier would do it. */
async function crawl(tenantId: string, previous = new Map<string, PageResult>()): Promise<Map<string, Fetched>> {
  const { url } = site.tenants.find(({ tenant }) => tenant === tenantId)!
  const queue = [url]
  const seen = new Map<string, Fetched>()
  for (let next = queue.shift(); next !== undefined && seen.size < 500; next = queue.shift()) {
    if (seen.has(next)) continue
    const before = previous.get(next)
    const lease: LeasedUrl = {
      tenantId,
      crawlId: 'c',
      url: next,
      depth: 0,
      maxDepth: 10,
      chunkType: 'website',
      attempts: 1,
      owner: 'me',
      host: new URL(next).host,
      hostState: { delayMs: 0, backoffMs: 0, backoffAtMs: 0 },
      version: 0n,
      previous: before && 'page' in before ? before.page : undefined,
    }
    const result = await fetchPage(lease, new AbortController().signal)
    const record = 'records' in result ? (result.records[0]!.value as PageCrawled) : undefined
    seen.set(next, { ...result, url: next, record })
    const known = before && 'page' in before ? before.page.links : []
    queue.push(
      ...('page' in result ? result.page.links : result.outcome === 'unchanged' ? (result.links ?? known) : []),
    )
  }
  return seen
}

const crawls = new Map<string, Map<string, Fetched>>()
for (const { tenant } of site.tenants) crawls.set(tenant, await crawl(tenant))

const pathOf = (url: string) => new URL(url).pathname
const published = (tenant: string) => [...crawls.get(tenant)!.values()].filter(({ outcome }) => outcome === 'fetched')
const empty = new Set(
  sampleTenants.flatMap(({ site }) => site.pages.filter(({ main }) => !main).map(({ path }) => path)),
)

t.test('a crawl finds as many pages as are announced', async (t) => {
  t.equal(expectedPages['brevaro'], 200)
  for (const { tenant } of site.tenants) {
    const pages = new Set(
      published(tenant)
        .map(({ record }) => record!.canonical_url)
        .filter((url) => !empty.has(pathOf(url))),
    )
    t.equal(pages.size, expectedPages[tenant], tenant)
  }
})

t.test(
  'and meets what crawlers meet: a redirect, a duplicate, a page that is gone, one that is forbidden',
  async (t) => {
    const pages = [...crawls.get('brevaro')!.values()]
    const find = (path: string) => pages.find(({ url }) => url.endsWith(path))!
    t.equal(pathOf(find('/marea').record!.url), '/machines/marea-duo')
    t.equal(pathOf(find('?view=print').record!.canonical_url), '/machines/marea-duo')
    t.match(find('/machines/aria-zero'), { outcome: 'gone', reason: 'http_410' })
    t.match(find('/internal/prices'), { outcome: 'skipped', reason: 'robots' })
    t.same(
      pages.filter(({ outcome }) => outcome === 'failed'),
      [],
    )
  },
)

t.test('no two pages have the same text, and no page is thin', async (t) => {
  for (const { site } of sampleTenants) {
    const texts = site.pages.filter(({ main, canonical }) => main && !canonical).map(({ main }) => main)
    t.equal(new Set(texts).size, texts.length)
    for (const { main, path } of site.pages) t.notMatch(main, /undefined|NaN|\[object/, path)
  }
})

t.test('pages in other charsets are decoded', async (t) => {
  const text = (tenant: string, path: string) => {
    const { body, content_type } = published(tenant).find(({ url }) => pathOf(url) === path)!.record!
    t.notSame(Buffer.from(body.toString('utf8')), body, 'its bytes are no UTF-8')
    return decode(body, content_type)
  }
  t.match(text('auenwerk', '/ratgeber/laerm'), 'Größere Schläuche')
  t.match(text('kumonoki', '/temperature'), '湯の温度は茶葉で変わる。玉露は五十度、煎茶は七十度、番茶は九十度。')
  t.match(text('brevaro', '/contact'), 'sixteen o’clock')
})

t.test('a second crawl finds nothing new', async (t) => {
  const again = [...(await crawl('auenwerk', crawls.get('auenwerk'))).values()]
  t.equal(again.length, crawls.get('auenwerk')!.size)
  t.same(
    again.filter(({ outcome }) => outcome === 'fetched'),
    [],
  )
})

/** BM25 over words: about what a full-text search sees. */
function bestPage(tenant: string, question: string): string {
  const words = (text: string): string[] => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []
  const pages = sampleTenants
    .find(({ site }) => site.tenant === tenant)!
    .site.pages.filter(({ canonical }) => !canonical)
  const docs = pages.map(({ path, title, main }) => ({
    path,
    words: words(`${title} ${main.replace(/<[^>]*>/g, ' ')}`),
  }))
  const mean = docs.reduce((sum, doc) => sum + doc.words.length, 0) / docs.length
  const score = (doc: string[]) =>
    words(question).reduce((sum, word) => {
      const tf = doc.filter((other) => other === word).length
      const df = docs.filter((other) => other.words.includes(word)).length
      const idf = Math.log(1 + (docs.length - df + 0.5) / (df + 0.5))
      return sum + (idf * tf * 2.2) / (tf + 1.2 * (0.25 + (0.75 * doc.length) / mean))
    }, 0)
  return docs.toSorted((a, b) => score(b.words) - score(a.words))[0]!.path
}

t.test('each question is answered by the page that it names', async (t) => {
  for (const { tenant, question, expectedPath } of sampleQuestions) t.equal(bestPage(tenant, question), expectedPath)
})
