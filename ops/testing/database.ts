/** A database of its own for each test file: a new one on the real server of the run, or a PGlite. */
import { randomUUID } from 'node:crypto'
import type { Knex } from 'knex'
import pg from 'pg'
import { createPostgres } from '../../connectors/postgres/client.ts'
import { migrateUp } from '../../connectors/postgres/migrate.ts'
import { defaults, readConfig } from '../config.ts'
import { startThrowAwayPglite } from '../embedded/postgres.ts'
import { testEnvironment } from './environment.ts'

/** Small vectors: tests are about rows, not about recall. */
export const TEST_DIMENSIONS = 32

export interface TestDatabase {
  readonly url: string
  readonly db: Knex
  readonly isReal: boolean
  readonly close: () => Promise<void>
}

export async function createTestDatabase({
  migrated = true,
  dimensions = TEST_DIMENSIONS,
} = {}): Promise<TestDatabase> {
  const server = testEnvironment.databaseUrl
    ? await realDatabase(testEnvironment.databaseUrl)
    : await startThrowAwayPglite(readConfig())
  const db = createPostgres({ ...defaults.postgres, poolMax: 10, url: server.url }, dimensions)
  if (migrated) await migrateUp(db)
  return {
    url: server.url,
    db,
    isReal: testEnvironment.databaseUrl !== undefined,
    close: async () => {
      await db.destroy()
      await server.stop()
    },
  }
}

async function realDatabase(serverUrl: string) {
  const name = `sluice_test_${randomUUID().replaceAll('-', '')}`
  const admin = async (sql: string) => {
    const client = new pg.Client({ connectionString: serverUrl })
    await client.connect()
    await client.query(sql)
    await client.end()
  }
  await admin(`create database ${name}`)
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  return { url: url.href, stop: () => admin(`drop database ${name} with (force)`) }
}
