/** Runs the migrations of migrations/, by file name, through knex. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Knex } from 'knex'

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
const settings = { migrationSource, tableName: 'sluice_migrations' }

export interface MigrationStatus {
  readonly done: string[]
  readonly pending: string[]
}

/** @returns names of the migrations that ran now. Safe to call from several instances: knex holds a lock row. */
export async function migrateUp(db: Knex): Promise<string[]> {
  const [, names] = (await db.migrate.latest(settings)) as [number, string[]]
  return names
}

/** Takes back the newest migration, or all of them. */
export async function migrateDown(db: Knex, all = false): Promise<string[]> {
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
