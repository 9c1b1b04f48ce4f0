/** A database of its own for each test file: a new one on the real server of the run, or a PGlite in this process. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { PGlite } from '@electric-sql/pglite'
import { vector } from '@electric-sql/pglite-pgvector'
import { PGLiteSocketServer } from '@electric-sql/pglite-socket'
import type { Knex } from 'knex'
import pg from 'pg'
import { createPostgres } from '../../connectors/postgres/client.ts'
import { migrateUp } from '../../connectors/postgres/migrate.ts'
import { defaults } from '../config.ts'
import { testEnvironment } from './environment.ts'

/** Small vectors: tests are about rows, not about recall. */
export const TEST_DIMENSIONS = 32

export interface TestDatabase {
  readonly url: string
  readonly db: Knex
  readonly isReal: boolean
  readonly close: () => Promise<void>
}

export async function createTestDatabase({ migrated = true } = {}): Promise<TestDatabase> {
  const server = testEnvironment.databaseUrl ? await realDatabase(testEnvironment.databaseUrl) : await pglite()
  const db = createPostgres({ ...defaults.postgres, url: server.url }, TEST_DIMENSIONS)
  if (migrated) await migrateUp(db)
  return {
    url: server.url,
    db,
    isReal: testEnvironment.databaseUrl !== undefined,
    close: async () => {
      await db.destroy()
      await server.close()
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
  return { url: url.href, close: () => admin(`drop database ${name} with (force)`) }
}

async function pglite() {
  const engine = await PGlite.create({ extensions: { vector } })
  const port = await freePort()
  const server = new PGLiteSocketServer({ db: engine, port, host: '127.0.0.1', maxConnections: 40 })
  await server.start()
  return {
    url: `postgres://postgres:postgres@127.0.0.1:${port}/postgres`,
    close: async () => {
      await server.stop()
      await engine.close()
    },
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
