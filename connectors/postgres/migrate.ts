/** Runs the migrations of migrations/, by file name, through knex. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Knex } from 'knex'
import { UserError } from '../../streams/errors.ts'

const folder = join(import.meta.dirname, '..', '..', 'migrations')

/** knex would `require` the files; they are ES modules in TypeScript that Node runs as they are. */
const migrationSource: Knex.MigrationSource<string> = {
  getMigrations: () =>
    Promise.resolve(
      readdirSync(folder)
        .filter((file) => /^\d+_.*\.ts$/.test(file))
        .sort(),
    ),
  getMigrationName: (file) => file.replace(/\.ts$/, ''),
  getMigration: (file) => import(pathToFileURL(join(folder, file)).href) as Promise<Knex.Migration>,
}
/**
 * Without knex' check that every applied migration has a file here: a newer version may have applied more, and whoever rolls
 * back to this one starts with `migrate up`.
 */
const settings = { migrationSource, tableName: 'sluice_migrations', disableMigrationsListValidation: true }

export interface MigrationStatus {
  readonly done: string[]
  readonly pending: string[]
}

/** @returns names of the migrations that ran now. Safe to call from several instances, and after a kill. */
export async function migrateUp(db: Knex): Promise<string[]> {
  return alone(db, async () => {
    const [, names] = (await db.migrate.latest(settings)) as [number, string[]]
    return names
  })
}

/** Any number: names this lock among the database's advisory locks. */
const LOCK = 5_417_733

/**
 * One migration at a time, by a lock that the server drops with its session. knex' own lock is a row that a killed process
 * leaves behind for ever; under the real lock it can be freed.
 */
async function alone<T>(db: Knex, work: () => Promise<T>): Promise<T> {
  const client = db.client as {
    acquireConnection: () => Promise<object>
    releaseConnection: (one: object) => Promise<void>
  }
  const session = await client.acquireConnection()
  try {
    await db.raw('select pg_advisory_lock(?)', [LOCK]).connection(session)
    await db.migrate.forceFreeMigrationsLock(settings)
    return await work()
  } finally {
    await db
      .raw('select pg_advisory_unlock(?)', [LOCK])
      .connection(session)
      .catch(() => {})
    await client.releaseConnection(session)
  }
}

/**
 * Takes back the newest migration, or all of them.
 * @throws UserError when the newest is of a newer version: what it stands on must not go first.
 */
export async function migrateDown(db: Knex, all = false): Promise<string[]> {
  const known = new Set((await migrationSource.getMigrations([])).map((file) => migrationSource.getMigrationName(file)))
  const newer = (await migrationStatus(db)).done.filter((name) => !known.has(name))
  if (newer.length > 0)
    throw new UserError(
      `the database has migrations of a newer version: ${newer.join(', ')}`,
      'Run `sluice migrate down` of that version first.',
    )
  const names: string[] = []
  do {
    const [, undone] = (await db.migrate.down(settings)) as [number, string[]]
    if (undone.length === 0) break
    names.push(...undone)
  } while (all)
  return names
}

export async function migrationStatus(db: Knex): Promise<MigrationStatus> {
  const [done, pending] = (await db.migrate.list(settings)) as [{ name: string }[], string[]]
  const name = (file: string) => migrationSource.getMigrationName(file)
  return { done: done.map((entry) => entry.name), pending: pending.map(name) }
}
