/** Deleting a tenant: nothing of it stays, nothing of it comes back, nobody else notices. */
import type { Knex } from 'knex'
import t from 'tap'
import { createTestDatabase } from '../../ops/testing/database.ts'
import { eventually } from '../../ops/testing/eventually.ts'
import { page, rows } from '../../ops/testing/pages.ts'
import { admitCrawls } from './frontier.ts'
import { createStore } from './store.ts'
import { createTenants, lockTenants } from './tenants.ts'

const database = await createTestDatabase()
const { db } = database
t.teardown(database.close)
const store = createStore(db)
const tenants = createTenants(db)
t.beforeEach(() => db.raw('truncate tenants, sources, tenant_knowledge, crawl_jobs, crawl_frontier, web_pages'))

const write = (tenantId: string, path = 'a') =>
  store.transact(
    'g',
    [page({ tenantId, url: `https://${tenantId}.example/${path}`, rows: rows(4), tokensBought: 5 })],
    [],
  )
const crawl = (tenantId: string) => ({
  ...({ type: 'frontier', tenantId, crawlId: 'c', urls: ['https://a.example/'], maxPages: 5, maxDepth: 1 } as const),
  chunkType: 'website',
})
const leftOf = async (tenant: string) => {
  const { sources, chunks, crawls, urls, webPages } = await tenants.contents(tenant)
  return sources + chunks + crawls + urls + webPages
}

t.test('all that is stored of it goes, what others have stays, and doing it twice is harmless', async (t) => {
  await write('acme')
  await write('acme', 'b')
  await write('globex')
  await store.transact('g', [crawl('acme'), crawl('globex')], [])
  t.match(await tenants.contents('acme'), { known: true, deleted: false, sources: 2, chunks: 8, crawls: 1, urls: 1 })
  const others = await tenants.contents('globex')
  await tenants.delete('acme')
  await tenants.delete('acme')
  t.match(await tenants.contents('acme'), { known: true, deleted: true, sources: 0, chunks: 0, crawls: 0, urls: 0 })
  t.strictSame(await tenants.contents('globex'), others)
  t.match(await tenants.list(), [
    { tenant: 'acme', status: 'deleted', pages: 0, chunks: 0, tokensBought: 0, lastUpdateMs: null },
    { tenant: 'globex', status: 'active', pages: 1, chunks: 4, tokensBought: 5, runningCrawls: 1 },
  ])
})

t.test('its records are refused, pages and crawls alike, until it is restored', async (t) => {
  await tenants.delete('acme')
  const [[refusedPage], [refusedCrawl]] = [await write('acme'), await store.transact('g', [crawl('acme')], [])]
  t.match([refusedPage, refusedCrawl], [{ change: 'refused' }, { change: 'refused' }])
  t.equal(await leftOf('acme'), 0)
  t.equal(await tenants.restore('acme'), true)
  t.equal(await tenants.restore('acme'), false, 'there is nothing to restore any more')
  t.match(await write('acme'), [{ change: 'applied' }])
  t.match(await store.transact('g', [crawl('acme')], []), [{ change: 'applied', inserted: 1 }])
})

t.test('a deletion that was cut short is finished before the tenant is restored', async (t) => {
  await write('acme')
  await db('tenants').where({ id: 'acme' }).update({ status: 'deleted' })
  await t.rejects(tenants.restore('acme'), { name: 'UserError', hint: /sluice tenant delete acme --yes/ })
  t.match(await tenants.contents('acme'), { deleted: true, sources: 1 })
  await tenants.delete('acme')
  t.equal(await tenants.restore('acme'), true)
})

t.test('a deletion that goes on when the tenant has been restored leaves its new pages alone', async (t) => {
  // The last statement of a deletion before its batches is the tombstone: from there on the tenant lives again.
  let restored = false
  const meddling = new Proxy(db, {
    get: (target, name) => {
      if (name !== 'transaction') return Reflect.get(target, name) as unknown
      return async (work: (trx: Knex.Transaction) => Promise<unknown>) => {
        const result = await db.transaction(work)
        if (!restored) {
          restored = true
          await tenants.restore('acme')
          await write('acme')
        }
        return result
      }
    },
  })
  await createTenants(meddling).delete('acme')
  t.match(await tenants.contents('acme'), { deleted: false, sources: 1, chunks: 4 })
  t.match(await tenants.list(), [{ tenant: 'acme', status: 'active', tokensBought: 5 }])
})

t.test('more rows than one transaction deletes go too', async (t) => {
  await db.raw(`insert into tenant_knowledge (tenant_id, chunk_type, content, content_hash)
                select 'acme', 'website', 'x', n::text from generate_series(1, 11000) n`)
  await tenants.delete('acme')
  t.equal(await leftOf('acme'), 0)
})

const real = { skip: !database.isReal && 'needs a real Postgres: PGlite runs one transaction at a time' }

/** A deletion that begins while `work`'s transaction is open, which then goes on and commits. */
async function deleteDuring(work: (trx: Knex.Transaction) => Promise<unknown>): Promise<void> {
  const trx = await db.transaction()
  await work(trx)
  const deletion = tenants.delete('acme')
  const waits = `select 1 from pg_locks where locktype = 'advisory' and not granted`
  const waiting = async () => (await db.raw<{ rows: unknown[] }>(waits)).rows.length
  await eventually('the deletion waits', waiting, (count) => count > 0, 15_000)
  await trx.commit()
  await deletion
}

t.test('a page write that began before the deletion and commits after it does not survive it', real, async (t) => {
  await deleteDuring(async (trx) => {
    t.equal((await lockTenants(trx, ['acme', 'globex'])).size, 0)
    await trx('sources').insert({
      ...{ tenant_id: 'acme', id: crypto.randomUUID(), url: 'u', url_hash: Buffer.from('u'), canonical_url: 'u' },
      ...{ chunk_type: 'website', version: 1, content_hash: 'h', chunker_version: 1, config_fingerprint: 'c' },
      status: 'active',
    })
  })
  t.equal(await leftOf('acme'), 0)
})

t.test('nor does a crawl that was being admitted', real, async (t) => {
  await deleteDuring((trx) => admitCrawls(trx, [crawl('acme')]))
  t.equal(await leftOf('acme'), 0)
})

t.test(
  'writers beside a deletion end in order: none is deadlocked, and nothing of the tenant is left',
  real,
  async (t) => {
    const writers = Array.from({ length: 6 }, async (_, writer) => {
      for (let at = 0; at < 15; at += 1)
        await store.transact(
          'g',
          ['acme', 'globex'].map((tenantId) =>
            page({ tenantId, url: `https://x.example/${writer}-${at}`, rows: rows(3), tokensBought: 1 }),
          ),
          [],
        )
    })
    await tenants.delete('acme')
    await Promise.all(writers)
    t.equal(await leftOf('acme'), 0)
    t.match(await tenants.contents('globex'), { sources: 90, chunks: 270 })
  },
)
