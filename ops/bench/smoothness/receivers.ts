/** The two receivers of a scenario, each a process of its own: what they log is all that the figures are made of. */
import { join } from 'node:path'
import { startEmbeddings } from '../../embedded/embeddings.ts'
import type { LoggedRequest } from '../../embedded/embeddings-server.ts'
import type { Faults } from '../../embedded/embeddings-server.ts'
import { startNodeServer } from '../../embedded/part.ts'
import { getJson, postJson } from './http-json.ts'
import type { ProxyMode } from './postgres-receiver.ts'
import { apiRules } from './stated-api.ts'
import type { LoggedWork } from './statements.ts'

export type { LoggedRequest, LoggedWork }

export interface Receivers {
  readonly openaiBaseUrl: string
  /** The scenario's database, by way of the proxy. */
  readonly databaseUrl: string
  /** The API refuses from now on for `forMs`, whatever the rate. */
  readonly refuse: (refuse: Omit<NonNullable<Faults['refuse']>, 'untilMs'>, forMs: number) => Promise<void>
  /** Postgres does not answer for `forMs`. */
  readonly away: (mode: Exclude<ProxyMode, 'pass'>, forMs: number) => Promise<void>
  readonly logs: () => Promise<{ embeddings: LoggedRequest[]; postgres: LoggedWork[] }>
  readonly stop: () => Promise<void>
}

interface Options {
  readonly databaseUrl: string
  readonly libDir: string
  readonly logDir: string
}

export async function startReceivers({ databaseUrl, libDir, logDir }: Options): Promise<Receivers> {
  const [embeddings, postgres] = await Promise.all([
    startEmbeddings({ libDir, logFile: join(logDir, 'embeddings-receiver.log') }),
    startPostgresReceiver(databaseUrl, join(logDir, 'postgres-receiver.log')),
  ])
  const embeddingsControl = new URL('/', embeddings.url).href
  const setRules = (refuse?: Faults['refuse']) => postJson(`${embeddingsControl}faults`, apiRules(refuse))
  await setRules()
  return {
    openaiBaseUrl: embeddings.url,
    databaseUrl: postgres.url,
    refuse: async (refuse, forMs) => void (await setRules({ ...refuse, untilMs: Date.now() + forMs })),
    away: async (mode, forMs) => void (await postJson(`${postgres.control}mode`, { mode, forMs })),
    logs: async () => ({
      embeddings: await getJson<LoggedRequest[]>(`${embeddingsControl}log`),
      postgres: await getJson<LoggedWork[]>(`${postgres.control}log`),
    }),
    stop: async () => void (await Promise.all([embeddings.stop(), postgres.stop()])),
  }
}

async function startPostgresReceiver(databaseUrl: string, logFile: string) {
  const url = new URL(databaseUrl)
  const { child, port } = await startNodeServer({
    part: 'Postgres receiver',
    script: join(import.meta.dirname, 'postgres-receiver.ts'),
    args: ['--target', `${url.hostname}:${url.port || 5432}`],
    logFile,
    answers: async (control) => (await getJson<{ port: number }>(`http://127.0.0.1:${control}/address`)).port > 0,
  })
  const control = `http://127.0.0.1:${port}/`
  const { port: proxyPort } = await getJson<{ port: number }>(`${control}address`)
  url.hostname = '127.0.0.1'
  url.port = String(proxyPort)
  return { url: url.href, control, stop: child.stop }
}
