/** `sluice migrate` as a process of its own, on a database of its own. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { migrationStatus } from '../../connectors/postgres/migrate.ts'
import { createTestDatabase, TEST_DIMENSIONS } from '../testing/database.ts'

t.setTimeout(180_000)
const { db, url, close } = await createTestDatabase()
t.teardown(close)
const cli = join(import.meta.dirname, '..', 'bin', 'sluice.mjs')
const sluice = (...args: string[]): Promise<{ code: number; out: string; err: string }> =>
  new Promise((resolve) => {
    const env = { PATH: process.env['PATH'], DATABASE_URL: url, EMBEDDING_DIMENSIONS: String(TEST_DIMENSIONS) }
    execFile(process.execPath, [cli, ...args], { env }, (error, out, err) =>
      resolve({ code: error ? Number(error.code) : 0, out, err }),
    )
  })

t.test('down takes one migration back; down --all only says which, until it is told --yes', async (t) => {
  const { done } = await migrationStatus(db)
  t.match(await sluice('migrate', 'down'), { code: 0, out: done.at(-1)! })
  const left = done.slice(0, -1)
  const plan = await sluice('migrate', 'down', '--all', '--json')
  t.match(plan, { code: 0, err: /nothing was changed.*--yes/ })
  t.strictSame(
    plan.out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as object),
    left.toReversed().map((migration) => ({ migration, state: 'would be reverted' })),
  )
  t.strictSame((await migrationStatus(db)).done, left)
  t.match(await sluice('migrate', 'down', '--all', '--yes'), { code: 0 })
  t.strictSame((await migrationStatus(db)).done, [])
})
