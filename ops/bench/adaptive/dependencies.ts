/** What the limits are tried on: a server that queues, one that refuses, and a real PostgreSQL. */
import { mkdtemp, rm } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { systemClock } from '../../../streams/runtime/ports.ts'
import { createAimd } from '../../../streams/throttle/aimd.ts'
import { createGradient } from '../../../streams/throttle/gradient.ts'
import type { AdaptiveLimit, FeedbackKind } from '../../../streams/throttle/ports.ts'
import { readConfig } from '../../config.ts'
import { startRealPostgres } from '../../embedded/real-postgres.ts'
import { startKneeServer } from './knee-server.ts'
import type { Send } from './load.ts'

export interface Dependency {
  readonly name: string
  readonly start: () => Promise<{ readonly send: Send; readonly stop: () => Promise<void> }>
  /** Without any limit given. */
  readonly adaptive: () => AdaptiveLimit
}

/** Above every limit that is tried, so that nothing but the search bounds it. */
const MAX = 64
const SERVERS = 8
const SERVICE_MS = 20

const aimd = () => createAimd({ clock: systemClock, max: MAX })
const gradient = () => createGradient({ clock: systemClock, max: MAX })

export const dependencies: readonly Dependency[] = [
  { name: `HTTP, ${SERVERS} at once, others queue`, start: () => knee(false), adaptive: aimd },
  { name: `HTTP, ${SERVERS} at once, others get 429`, start: () => knee(true), adaptive: aimd },
  { name: `PostgreSQL, ${SERVERS} locks, others wait for them`, start: postgres, adaptive: gradient },
]

async function knee(refuses: boolean) {
  const server = await startKneeServer({ servers: SERVERS, serviceMs: SERVICE_MS, refuses })
  const agent = new Agent({ keepAlive: true })
  const send = () =>
    new Promise<FeedbackKind>((resolve) => {
      const sent = request({ host: '127.0.0.1', port: server.port, agent }, (response) => {
        response.resume()
        response.on('end', () => resolve(response.statusCode === 429 ? 'throttled' : 'ok'))
      })
      sent.on('error', () => resolve('unavailable'))
      sent.end()
    })
  return {
    send,
    stop: async () => {
      agent.destroy()
      await server.stop()
    },
  }
}

/** As writes that meet on hot rows: whoever finds its lock taken waits in line for it. */
const QUERY = `with hot as materialized (select pg_advisory_xact_lock($1)) select pg_sleep($2) from hot`

async function postgres() {
  const dataDir = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
  const server = await startRealPostgres({ dataDir: join(dataDir, 'postgres'), libDir: readConfig().libDir })
  const pool = new pg.Pool({ connectionString: server.url, max: MAX })
  pool.on('error', () => {}) // idle ones, when the server stops
  let turn = 0
  const send = () =>
    pool.query(QUERY, [(turn += 1) % SERVERS, SERVICE_MS / 1_000]).then(
      () => 'ok' as const,
      () => 'unavailable' as const,
    )
  return {
    send,
    stop: async () => {
      await pool.end()
      await server.stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}
