/** A database for each scenario, with the tables as they are now: PGlite, or a real PostgreSQL that serves all of them. */
import { join } from 'node:path'
import pg from 'pg'
import { createPostgres } from '../../../connectors/postgres/client.ts'
import { migrateUp } from '../../../connectors/postgres/migrate.ts'
import { defaults } from '../../config.ts'
import { startPglite } from '../../embedded/postgres.ts'
import { startRealPostgres } from '../../embedded/real-postgres.ts'
import { DIMENSIONS } from './stated-api.ts'

export interface BenchDatabase {
  readonly url: string
  /** Pages with all their chunks. */
  readonly storedPages: () => Promise<number>
  readonly close: () => Promise<void>
}

export interface Databases {
  readonly name: string
  readonly open: (name: string) => Promise<BenchDatabase>
  readonly stop: () => Promise<void>
}

interface Options {
  readonly folder: string
  readonly libDir: string
  readonly real: boolean
}

export const startDatabases = (options: Options): Promise<Databases> => (options.real ? real(options) : pglite(options))

async function pglite({ folder, libDir }: Options): Promise<Databases> {
  return {
    name: 'PGlite',
    open: async (name) => {
      const logFile = join(folder, `postgres-${name}.log`)
      const server = await startPglite({ dataDir: join(folder, `postgres-${name}`), libDir, logFile })
      return migrated(server.url, () => server.stop())
    },
    stop: async () => {},
  }
}

async function real({ folder, libDir }: Options): Promise<Databases> {
  const server = await startRealPostgres({ dataDir: join(folder, 'real-postgres'), libDir })
  return {
    name: 'PostgreSQL 16',
    open: async (name) => {
      const database = `bench_${name.replaceAll('-', '_')}`
      await command(server.url, `create database ${database}`)
      const url = new URL(server.url)
      url.pathname = `/${database}`
      return migrated(url.href, () => command(server.url, `drop database ${database} with (force)`))
    },
    stop: server.stop,
  }
}

async function migrated(url: string, stop: () => Promise<void>): Promise<BenchDatabase> {
  const db = createPostgres({ ...defaults.postgres, url, poolMax: 4, statementTimeoutMs: 0 }, DIMENSIONS)
  await migrateUp(db)
  return {
    url,
    storedPages: async () => {
      const [row] = await db('sources').where({ status: 'active' }).where('chunk_count', '>', 0).count({ pages: '*' })
      return Number(row?.['pages'])
    },
    close: async () => {
      await db.destroy()
      await stop()
    },
  }
}

async function command(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(sql)
  await client.end()
}
