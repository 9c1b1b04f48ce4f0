/** `sluice tenant` while the pipeline runs: a tenant that is deleted in the middle of its backlog stays deleted. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { processedPage } from '../testing/events.ts'
import { eventually } from '../testing/eventually.ts'
import { createWorld } from '../testing/world.ts'

t.setTimeout(300_000)
const world = await createWorld({ partitions: 1 })
t.teardown(world.close)
const { db } = world

const cli = join(import.meta.dirname, '..', 'bin', 'sluice.mjs')
const sluice = (...args: string[]): Promise<{ code: number; out: string; err: string }> =>
  new Promise((resolve) => {
    const env = { PATH: process.env['PATH'], ...world.variables }
    execFile(process.execPath, [cli, ...args], { env }, (error, out, err) =>
      resolve({ code: error ? Number(error.code) : 0, out, err }),
    )
  })
const PAGES = 60
const pagesOf = (tenant: string, mark = '') =>
  Array.from({ length: PAGES }, (_, index) => processedPage(tenant, `${mark}${index}`))
const stored = async (table: string, tenant: string) =>
  Number((await db(table).where({ tenant_id: tenant }).count({ n: '*' }))[0]!['n'])

t.test('deleted while the chunker works on its backlog: no row of it in the end, others whole, no lag', async (t) => {
  const both = pagesOf('acme').flatMap((page, index) => [page, processedPage('globex', String(index))])
  await world.produce('pages.processed', both)
  await sluice('limit', 'chunker', '--records-per-second', '15')
  await world.spawnStages(['chunker'])
  await eventually(
    'some are stored',
    () => stored('sources', 'acme'),
    (count) => count > 3,
  )
  const plan = await sluice('tenant', 'delete', 'acme')
  t.match(plan, { code: 0, out: /^acme: \d+ pages with \d+ chunks, .* would be deleted/, err: /--yes/ })
  t.ok((await stored('sources', 'acme')) > 0, 'a plan deletes nothing')

  const deletion = await sluice('tenant', 'delete', 'acme', '--yes', '--json')
  t.match(JSON.parse(deletion.out), { tenant: 'acme', known: true, done: true })
  t.ok((await stored('sources', 'globex')) < PAGES, 'its backlog was being worked on')
  await sluice('limit', 'chunker', '--off')
  await world.drained('chunker', 120_000)
  t.equal(await stored('sources', 'globex'), PAGES)
  for (const table of ['sources', 'tenant_knowledge']) t.equal(await stored(table, 'acme'), 0, table)
  t.equal((await world.deadLetters('pages.processed')).length, 0, 'a refusal is no failure')
  t.match(await sluice('tenant', 'delete', 'acme', '--yes'), { code: 0, out: /^acme: 0 pages with 0 chunks/ })
})

t.test('the list has both, and a restored tenant is stored again', async (t) => {
  await sluice('pause', '--tenant', 'globex', '--reason', 'test')
  const list = async () =>
    (await sluice('tenant', 'list', '--json')).out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as object)
  t.match(await list(), [
    { tenant: 'acme', status: 'deleted', pages: 0, paused: false, limits: [] },
    { tenant: 'globex', status: 'active', pages: PAGES, paused: true },
  ])
  t.match(await sluice('tenant', 'list'), { code: 0, out: /globex\s+active\s+60/ })
  t.match(await sluice('tenant', 'restore', 'globex'), { code: 1, err: /not deleted/ })
  t.match(await sluice('tenant', 'restore', 'acme'), { code: 0 })
  await world.produce('pages.processed', pagesOf('acme', 'again-'))
  await world.drained('chunker', 120_000)
  t.equal(await stored('sources', 'acme'), PAGES)
})
