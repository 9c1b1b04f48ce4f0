import t from 'tap'
import { page, rows } from '../../ops/testing/pages.ts'
import { createTestDatabase } from '../../ops/testing/database.ts'
import type { LedgerPosition } from '../../streams/runtime/ports.ts'
import type { PageWrite } from '../../streams/writes.ts'
import { chunkId } from './chunk-id.ts'
import { createStore } from './store.ts'

const GROUP = 'sluice.chunker'
const at = { topic: 'pages.processed', partition: 0 }

const database = await createTestDatabase()
const { db } = database
t.teardown(database.close)
const store = createStore(db)
t.beforeEach(() => db.raw('truncate tenants, sources, tenant_knowledge, stage_offsets'))

const write = (...writes: PageWrite[]) => store.transact(GROUP, writes, [])
async function claim(): Promise<bigint> {
  return (await store.claim(GROUP, [at], 'me')).get('pages.processed/0')!.epoch
}
const position = (epoch: bigint, nextOffset: bigint): LedgerPosition => ({ ...at, epoch, nextOffset, known: 0n })
const ledger = async () => (await db('stage_offsets').first('next_offset'))?.next_offset
const contents = async (where: object = {}) =>
  (await db('tenant_knowledge').where(where).orderBy(['tenant_id', 'source_id', 'chunk_index'])).map(
    (row) => row.content,
  )

t.test('a page of 40 chunks keeps all 40', async (t) => {
  const [result] = await write(page({ rows: rows(40) }))
  t.match(result, { change: 'applied', inserted: 40, deleted: 0 })
  t.equal((await contents()).length, 40)
})

t.test('children point at their parent, which is a row of the same page', async (t) => {
  await write(page())
  const [parent, child] = await db('tenant_knowledge').orderBy('chunk_index').limit(2)
  t.equal(parent.parent_id, null)
  t.equal(child.parent_id, parent.id)
})

t.test('a page that shrinks leaves no orphan', async (t) => {
  await write(page({ rows: rows(10) }))
  const [result] = await write(page({ version: 2n, contentHash: 'shorter', rows: rows(3) }))
  t.match(result, { change: 'applied', rows: 3, deleted: 7, inserted: 0, ignored: 3 })
  t.strictSame(await contents(), ['pump 0', 'pump 1', 'pump 2'])
})

t.test('all rows of a page carry its newest version, also those that stayed', async (t) => {
  await write(page({ rows: rows(3) }))
  await write(page({ version: 2n, contentHash: 'longer', rows: rows(5) }))
  const versions = await db('tenant_knowledge').distinct('source_version')
  t.strictSame(versions, [{ source_version: '2' }])
})

t.test('a row whose content changed is replaced, its neighbours stay', async (t) => {
  await write(page({ rows: rows(3) }))
  const before = await db('tenant_knowledge').orderBy('chunk_index').select('content', 'created_at')
  const changed = rows(3).map((row, index) => (index === 1 ? { ...row, content: 'valve', contentHash: 'new' } : row))
  const [result] = await write(page({ version: 2n, contentHash: 'changed', rows: changed }))
  t.match(result, { inserted: 1, deleted: 1, ignored: 2 })
  const after = await db('tenant_knowledge').orderBy('chunk_index').select('content', 'created_at')
  t.equal(after[1].content, 'valve')
  t.strictSame([after[0], after[2]], [before[0], before[2]])
})

t.test('an old version after a new one changes nothing', async (t) => {
  await write(page({ version: 2n, rows: rows(3, 'new') }))
  const [result] = await write(page({ version: 1n, rows: rows(9, 'old') }))
  t.equal(result!.change, 'stale')
  t.strictSame(await contents(), ['pump 0 new', 'pump 1 new', 'pump 2 new'])
})

t.test('the same version again changes nothing', async (t) => {
  await write(page())
  const before = await db('tenant_knowledge').orderBy('id')
  const [result] = await write(page())
  t.equal(result!.change, 'unchanged')
  t.strictSame(await db('tenant_knowledge').orderBy('id'), before)
})

t.test('a page that is gone stays gone when an old record arrives', async (t) => {
  await write(page())
  await write(page({ version: 2n, status: 'gone', contentHash: '', rows: [] }))
  t.strictSame(await contents(), [])
  const [result] = await write(page())
  t.equal(result!.change, 'stale')
  t.strictSame(await contents(), [])
})

t.test('a row whose heading path changed is replaced, also where the embedded text is the same', async (t) => {
  await write(page({ rows: rows(3) }))
  const moved = rows(3).map((row) => ({ ...row, headingPath: ['Manual', 'Valves'] }))
  const [result] = await write(page({ version: 2n, contentHash: 'moved', rows: moved }))
  t.match(result, { inserted: 3, deleted: 3 })
  t.strictSame((await db('tenant_knowledge').first('heading_path')).heading_path, ['Manual', 'Valves'])
})

t.test('a page of more chunks than one statement has parameters for is stored whole', async (t) => {
  const [result] = await write(page({ rows: rows(4_200) }))
  t.match(result, { change: 'applied', inserted: 4_200 })
})

t.test('two tenants with the same URL and the same text both have theirs', async (t) => {
  await write(page({ tenantId: 'acme' }), page({ tenantId: 'globex' }))
  t.equal((await contents({ tenant_id: 'acme' })).length, 3)
  t.equal((await contents({ tenant_id: 'globex' })).length, 3)
})

t.test('tenants are apart even where their source ids are equal', async (t) => {
  const shared = page().sourceId
  await write(page({ tenantId: 'acme', sourceId: shared }))
  const [result] = await write(page({ tenantId: 'globex', sourceId: shared }))
  t.equal(result!.inserted, 3)
  t.equal((await contents({ tenant_id: 'globex' })).length, 3)
})

t.test('two chunkers that handle the same page at once leave one set of chunks', async (t) => {
  const other = createStore(db)
  for (let round = 0; round < 10; round += 1) {
    const same = page({ url: `https://acme.example/${round}`, rows: rows(8) })
    const results = await Promise.all([store, other].map((one) => one.transact(GROUP, [same], [])))
    t.strictSame(
      results
        .flat()
        .map(({ change }) => change)
        .sort(),
      ['applied', 'unchanged'],
    )
  }
  t.equal((await contents()).length, 80)
})

t.test('batches that overlap in opposite order neither deadlock nor lose a page', async (t) => {
  const pages = Array.from({ length: 12 }, (_, index) => page({ url: `https://acme.example/${index}` }))
  await Promise.all([write(...pages), write(...[...pages].reverse()), write(...pages.slice(4), ...pages.slice(0, 4))])
  t.equal((await contents()).length, 36)
})

t.test('two versions of a page in one batch end in the newer one, in either order', async (t) => {
  const [old, young] = [page({ rows: rows(5, 'old') }), page({ version: 2n, rows: rows(2, 'new') })]
  t.strictSame(
    (await write(old, young)).map(({ change }) => change),
    ['stale', 'applied'],
  )
  await db.raw('truncate sources, tenant_knowledge')
  t.strictSame(
    (await write(young, old)).map(({ change }) => change),
    ['applied', 'stale'],
  )
  t.strictSame(await contents(), ['pump 0 new', 'pump 1 new'])
})

t.test('a conflict on any other key is an error, never a row that silently vanishes', async (t) => {
  const mine = page()
  const taken = chunkId('acme', mine.sourceId, 'website', 1)
  await db('tenant_knowledge').insert({
    id: taken,
    tenant_id: 'globex',
    chunk_type: 'faq',
    content: 'x',
    content_hash: 'x',
  })
  await t.rejects(write(mine), { name: 'StageError', code: 'invalid_data' })
  t.strictSame(await contents({ tenant_id: 'acme' }), [])
})

t.test('rows without a source are outside the unique index', async (t) => {
  const faq = { tenant_id: 'acme', chunk_type: 'faq', content: 'x', content_hash: 'x' }
  await db('tenant_knowledge').insert([faq, faq])
  t.equal((await contents()).length, 2)
})

t.test('text that Postgres cannot hold blames the record, not the server', async (t) => {
  const bad = page({ rows: rows(2).map((row) => ({ ...row, content: 'a\u0000b' })) })
  await t.rejects(write(bad), { name: 'StageError', code: 'invalid_data', retriable: false })
})

t.test('chunks and ledger are one transaction', async (t) => {
  const epoch = await claim()
  await store.transact(GROUP, [page()], [position(epoch, 5n)])
  t.equal(await ledger(), '5')
  const bad = page({ url: 'https://acme.example/bad', rows: rows(2).map((row) => ({ ...row, content: '\u0000' })) })
  await t.rejects(store.transact(GROUP, [bad], [position(epoch, 6n)]))
  t.equal(await ledger(), '5', 'a write that failed moved nothing')
})

t.test('a zombie writes neither chunks nor ledger', async (t) => {
  const zombie = await claim()
  await claim()
  await t.rejects(store.transact(GROUP, [page()], [position(zombie, 9n)]), { name: 'Fenced' })
  t.strictSame(await contents(), [])
  t.equal(await ledger(), null)
})

t.test('a ledger that lost what was written is not written past the gap', async (t) => {
  const epoch = await claim()
  await store.transact(GROUP, [], [position(epoch, 7n)])
  await db('stage_offsets').update({ next_offset: '4' })
  await t.rejects(store.transact(GROUP, [page()], [{ ...position(epoch, 9n), known: 7n }]), { name: 'Fenced' })
  t.strictSame(await contents(), [])
  t.equal(await ledger(), '4')
})

t.test('the ledger only moves forward', async (t) => {
  const epoch = await claim()
  await store.transact(GROUP, [], [position(epoch, 7n)])
  await store.transact(GROUP, [], [position(epoch, 3n)])
  t.equal(await ledger(), '7')
})

t.test('a deleted tenant is not brought back by records still in Kafka', async (t) => {
  await db('tenants').insert({ id: 'acme', status: 'deleted' })
  const [result, other] = await write(page(), page({ tenantId: 'globex' }))
  t.equal(result!.change, 'refused')
  t.equal(other!.change, 'applied')
  t.strictSame(await contents({ tenant_id: 'acme' }), [])
})

t.test('stored vectors are found by hash, and only the tenant’s own', async (t) => {
  await write(page({ tenantId: 'globex' }))
  const hashes = ['hash-1-', 'hash-2-', 'unknown']
  t.strictSame([...(await store.storedVectors('globex', hashes)).keys()].sort(), ['hash-1-', 'hash-2-'])
  t.equal((await store.storedVectors('acme', hashes)).size, 0)
})

t.test('tokens bought are counted for their tenant', async (t) => {
  await write(page({ tokensBought: 40 }), page({ url: 'https://acme.example/b', tokensBought: 2 }))
  t.equal((await db('tenants').where({ id: 'acme' }).first()).tokens_bought, '42')
})
