import { join } from 'node:path'
import type { Knex } from 'knex'
import t from 'tap'
import type { Test } from 'tap'
import { defaults, readConfig } from '../../ops/config.ts'
import { hashedVector } from '../../ops/embedded/embeddings-hashing.ts'
import { startRealPostgres } from '../../ops/embedded/real-postgres.ts'
import { TEST_DIMENSIONS, createTestDatabase } from '../../ops/testing/database.ts'
import { axis, page } from '../../ops/testing/pages.ts'
import type { PageWrite } from '../../streams/writes.ts'
import { createPostgres } from './client.ts'
import { migrateUp } from './migrate.ts'
import { asReader, searchKnowledge } from './search.ts'
import { createStore } from './store.ts'

const DIMENSIONS = 512
const database = await createTestDatabase({ dimensions: DIMENSIONS })
const { db } = database
t.teardown(database.close)
const store = createStore(db)
t.beforeEach(() => db.raw('truncate tenants, sources, tenant_knowledge'))

/** Where the same for all, vectors decide nothing. */
const NO_MEANING = `[${Array.from({ length: DIMENSIONS }, () => 1).join(',')}]`
const blind = (write: PageWrite): PageWrite => ({
  ...write,
  rows: write.rows.map((row) => ({ ...row, embedding: row.embedding && NO_MEANING })),
})

const embed = (text: string) => `[${hashedVector(text, DIMENSIONS).join(',')}]`

/** A page of one parent whose children are the given texts. */
function manual(name: string, texts: readonly string[], given: Partial<PageWrite> = {}): PageWrite {
  const row = { headingPath: [name], tokenCount: 9 }
  return page({
    url: `https://acme.example/${name}`,
    title: name,
    rows: [
      { ...row, chunkIndex: 0, parentIndex: null, content: texts.join('\n'), contentHash: 'p', embedding: null },
      ...texts.map((content, index) => ({
        ...row,
        ...{ chunkIndex: index + 1, parentIndex: 0, content, contentHash: `c${index}`, embedding: embed(content) },
      })),
    ],
    ...given,
  })
}
const write = (...pages: PageWrite[]) => store.transact('sluice.chunker', pages, [])
const search = (question: string, tenantId = 'acme', k = 5, model = 'model') =>
  searchKnowledge(db, { tenantId, question, vector: embed(question), model, k })
const titles = async (question: string, tenantId = 'acme') =>
  (await search(question, tenantId)).map(({ title }) => title)

const pumps = () =>
  manual('Pumps', ['The pump runs dry when the valve is closed.', 'Replace the seal every two years.'])
const valves = () => manual('Valves', ['A valve is opened by turning its handle to the left.'])

t.test('children are matched, their parent is returned once, with its page', async (t) => {
  await write(pumps(), valves())
  const [first, ...rest] = await search('When must I replace seals of the pump?')
  t.match(first, {
    rank: 1,
    url: 'https://acme.example/Pumps',
    title: 'Pumps',
    headingPath: ['Pumps'],
    content: 'The pump runs dry when the valve is closed.\nReplace the seal every two years.',
  })
  t.notOk(rest.some(({ title }) => title === 'Pumps'))
})

t.test('a rare word weighs more than a common one', async (t) => {
  const common = Array.from({ length: 12 }, (_, index) =>
    manual(`common ${index}`, [`The machine is described here, machine ${index}, machine part and machine plan.`]),
  )
  const rare = manual('rare', ['The calibration is described elsewhere in the documents of this plant.'])
  await write(...[...common, rare].map(blind))
  t.equal((await titles('machine calibration'))[0], 'rare')
})

t.test('words spread over a passage count together', async (t) => {
  const pages = [
    manual('together', ['The turbine needs oil.', 'Its bearings are checked in spring.', 'The nozzle is cleaned.']),
    manual('turbine only', ['The turbine needs water.', 'Its colour is green.']),
    manual('bearings only', ['Old bearings squeak.', 'They are loud.']),
  ]
  await write(...pages.map(blind))
  t.equal((await titles('turbine bearings nozzle'))[0], 'together')
})

t.test('pages in several languages are found by inflected words of their own', async (t) => {
  await write(
    manual('german', ['Die Ventile werden vor dem Winter entleert.'], { language: 'de' }),
    manual('english', ['Filters are cleaned after each washing.'], { language: 'en-GB' }),
    manual('french', ['Les chaudières sont contrôlées chaque année.'], { language: 'fr' }),
    manual('russian', ['Насосы проверяются каждую весну.'], { language: 'ru' }),
    manual('arabic', ['يتم تنظيف المضخات قبل الشتاء كل عام'], { language: 'ar' }),
    manual('chinese', ['冬天之前必须排空所有阀门。'], { language: 'zh' }),
    manual('japanese', ['冬の前にフィルターを交換してください。'], { language: 'ja' }),
  )
  const questions = {
    german: 'Wann entleere ich das Ventil?',
    english: 'cleaning a filter',
    french: 'contrôler la chaudière',
    russian: 'проверка насоса весной',
    arabic: 'متى تنظف المضخة في الشتاء',
    chinese: '阀门什么时候排空？',
    japanese: 'フィルターはいつ交換しますか',
  }
  for (const [language, question] of Object.entries(questions)) t.equal((await titles(question))[0], language, question)
})

t.test('whatever the question holds, it stays text', async (t) => {
  await write(pumps(), valves())
  const hostile = [
    `'); drop table tenant_knowledge; --`,
    `seal' | 'x`,
    `\\'seal\\' \\\\ C:\\pump\\seal\\`,
    'seal:* pump:A valve:*B',
    '!seal & | <-> <2> (pump',
    '&|!<->()',
    `o'clock ''seal'' "pump" $$ ? ?? :name $1 /usr/local/o'brien\\x http://a.example/?q='x'&y=\\`,
    'seal\0pump',
    '\ud800 seal',
    '',
    ' \n\t ',
    'seal '.repeat(20_000),
    Array.from({ length: 3_000 }, (_, index) => `word${index}`).join(' '),
  ]
  for (const question of hostile) {
    const hits = await search(question)
    t.ok(hits.length <= 2, question.slice(0, 40))
    if (question.includes('seal')) t.equal(hits[0]?.title, 'Pumps', question.slice(0, 40))
  }
  t.equal((await db('tenant_knowledge')).length, 5, 'all rows are still there')
})

t.test('text that looks like a query is found as text', async (t) => {
  await write(manual('operators', [`it's a 'quoted' C:\\path with seal:* & pump | !valve <-> '); drop table pages;`]))
  t.strictSame(await titles(`it's 'quoted' C:\\path`), ['operators'])
})

t.test('a tenant sees its own rows only, also where another has the same page', async (t) => {
  await write(pumps(), manual('Pumps', ['The pump of globex is secret.'], { tenantId: 'globex' }))
  const contents = (await search('pump secret globex seal')).map(({ content }) => content)
  t.equal(contents.length, 1)
  t.notMatch(contents[0], /secret/)
  t.match((await search('pump secret globex seal', 'globex'))[0], { content: /secret/ })
})

t.test('a tenant that is unset, empty, unknown or a pattern sees nothing', async (t) => {
  await write(pumps())
  for (const tenantId of ['', ' ', 'nobody', '%', `acme' or '1'='1`])
    t.strictSame(await search('pump', tenantId), [], `tenant «${tenantId}»`)
  await db.transaction(async (trx) => {
    await trx.raw('set local role sluice_reader')
    for (const table of ['tenant_knowledge', 'sources', 'knowledge', `sluice_text_matches('''pump''', 100)`])
      t.strictSame((await trx.raw(`select * from ${table}`)).rows, [], `${table} without a tenant`)
  })
})

t.test('the function that matches text finds the reader’s tenant only, whoever calls it', async (t) => {
  await write(pumps(), manual('Pumps', ['The pump of globex.'], { tenantId: 'globex' }))
  const matches = (tenantId: string) =>
    asReader(db, tenantId, async (trx) => (await trx.raw(`select id from sluice_text_matches('''pump''', 100)`)).rows)
  const own = await db('tenant_knowledge').where({ tenant_id: 'globex' }).whereNotNull('embedding').pluck('id')
  t.strictSame(
    await matches('globex'),
    own.map((id) => ({ id })),
  )
  t.strictSame(await matches(''), [])
  await t.rejects(
    db.transaction(async (trx) => {
      // Rolled back with the rest: a role belongs to the whole cluster.
      await trx.raw('create role sluice_stranger nologin')
      await trx.raw('set local role sluice_stranger')
      await trx.raw(`select id from sluice_text_matches('''pump''', 100)`)
    }),
    { code: '42501' },
    'a role without the grant may not call it',
  )
})

t.test('the tenant does not outlive the search on its connection', async (t) => {
  await write(pumps())
  await search('pump')
  const { rows } = await db.raw(`select current_setting('sluice.tenant_id', true) as tenant, current_user as role`)
  t.notOk(rows[0].tenant)
  t.not(rows[0].role, 'sluice_reader')
})

t.test('k parents at most, best first', async (t) => {
  await write(...Array.from({ length: 9 }, (_, index) => manual(`page ${index}`, [`The pump number ${index}.`])))
  const hits = await search('pump number 4', 'acme', 3)
  t.equal(hits.length, 3)
  t.equal(hits[0]!.title, 'page 4')
  t.strictSame(
    hits.map(({ rank }) => rank),
    [1, 2, 3],
  )
  t.ok(hits.every(({ score }, index) => index === 0 || score <= hits[index - 1]!.score))
})

t.test('vectors of another model are not compared: their rows are found by their words alone', async (t) => {
  const old = manual('old', ['Replace the seal every two years.'], { embeddingModel: 'older' })
  await write(old, pumps(), valves())
  const at = async (model: string) => (await search('Replace the seal', 'acme', 5, model)).map(({ title }) => title)
  t.equal((await at('older'))[0], 'old')
  t.strictSame(await at('model'), ['Pumps', 'old', 'Valves'])
  t.strictSame(await at('a third'), ['old', 'Pumps'], 'by words: a page without any of them is not found')
})

t.test('a small tenant beside a big one finds all of its rows, also where the vector index gives up', async (t) => {
  const real = await realDatabase(t)
  // The question lies among the big tenant's rows and far from the small one's, so the index would meet those last.
  await real.raw(
    `insert into tenant_knowledge (tenant_id, chunk_type, content, content_hash, embedding)
     select tenant, 'website', 'row', '', vector::halfvec
     from (values ('big', 6000, 1), ('small', 30, 2)) as t (tenant, n, axis), generate_series(1, n) as i,
       lateral (select array_agg((d = axis)::int + 0.1 * random() + 0 * i) as vector from generate_series(1, ?) d) v`,
    [TEST_DIMENSIONS],
  )
  await real.raw('analyze tenant_knowledge')
  const question = { question: 'nothing', vector: axis(0), model: 'model', k: 100 }
  const found = async (tenantId: string) => (await searchKnowledge(real, { ...question, tenantId })).length
  t.equal(await found('small'), 30, 'with the plan that Postgres chooses')
  const plan = await asReader(real, 'big', (trx) => explain(trx, question.vector))
  t.match(plan, /Index Scan using tenant_knowledge_by_embedding/, 'the big tenant is searched by index')
  t.equal(await found('big'), 100)
  // As among many more rows: the index is preferred, and gives up after 1,000 (of 20,000 by default).
  for (const setting of ['enable_sort = off', 'hnsw.max_scan_tuples = 1000'])
    await real.raw(`do $$ begin execute format('alter database %I set ${setting}', current_database()); end $$`)
  await real.destroy()
  real.initialize()
  t.match(await asReader(real, 'small', (trx) => explain(trx, question.vector)), /tenant_knowledge_by_embedding/)
  t.equal(await found('small'), 30, 'with the index forced upon it')
})

async function explain(trx: Knex, vector: string): Promise<string> {
  const { rows } = await trx.raw(
    `explain select id from tenant_knowledge where embedding is not null and embedding_model = any(?)
     order by embedding <=> ?::halfvec limit 100`,
    [['model', ''], vector],
  )
  return JSON.stringify(rows)
}

/** PGlite has no vector index: this needs the real server, of the run or a new one. */
async function realDatabase(t: Test): Promise<Knex> {
  if (database.isReal) {
    const own = await createTestDatabase()
    t.teardown(own.close)
    return own.db
  }
  const { libDir } = readConfig({})
  const server = await startRealPostgres({ dataDir: join(t.testdir(), 'postgres'), libDir, settings: { fsync: 'off' } })
  t.teardown(server.stop)
  const real = createPostgres({ ...defaults.postgres, poolMax: 2, url: server.url }, TEST_DIMENSIONS)
  t.teardown(() => real.destroy())
  await migrateUp(real)
  return real
}
