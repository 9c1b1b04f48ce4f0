/** What `sluice doctor` looks at: each dependency, then each invariant that can be checked from outside. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Admin } from 'kafkajs'
import { classifyPostgres } from '../../connectors/postgres/errors.ts'
import { uniqueIndexProblem } from '../../connectors/postgres/index-check.ts'
import { migrationStatus } from '../../connectors/postgres/migrate.ts'
import { rowsOf } from '../../connectors/postgres/rows.ts'
import { stageLag } from '../lag.ts'
import { describeError } from '../commands/hints.ts'
import { requireBroker } from '../commands/reachable.ts'
import { stageNames, topology } from '../../streams/topology.ts'
import type { Services } from '../services.ts'

export interface Finding {
  readonly check: string
  readonly state: 'ok' | 'warn' | 'bad'
  readonly detail: string
  /** What to do. */
  readonly hint?: string
}

type Check = (services: Services) => Promise<Omit<Finding, 'check'>>
const ok = (detail: string) => ({ state: 'ok', detail }) as const
const bad = (detail: string, hint: string) => ({ state: 'bad', detail, hint }) as const

/** Before 0.8.6 a vacuum, or an insert beside one, could corrupt an HNSW index (pgvector's changelog). */
const PGVECTOR_SAFE = [0, 8, 6]
const MAX_CLOCK_SKEW_MS = 5_000

const checks: Record<string, Check> = {
  kafka: async (services) => {
    await requireBroker(services.config.kafka.brokers)
    return withAdmin(services, async (admin) => {
      const { brokers } = await admin.describeCluster()
      return ok(`${brokers.length} broker(s): ${brokers.map(({ host, port }) => `${host}:${port}`).join(', ')}`)
    })
  },
  topics: async ({ applyTopics }) => {
    const wrong = (await applyTopics(false)).filter(({ state }) => state !== 'ok')
    if (wrong.length === 0) return ok('as declared')
    const list = wrong.map(({ name, state, differences }) => `${name} ${state} ${differences.join('; ')}`.trim())
    return bad(
      list.join(', '),
      'Missing ones: `sluice topics apply`. Others: change them with Kafka’s own tools, or the declaration.',
    )
  },
  'schema registry': async ({ codec }) => {
    await codec.register()
    return ok('all schemas registered and compatible')
  },
  postgres: async ({ db }) => {
    const [row] = await rowsOf<{ version: string }>(db, 'select version() as version').catch((error: unknown) => {
      throw classifyPostgres(error)
    })
    return ok(row!.version.split(' ').slice(0, 2).join(' '))
  },
  pgvector: async ({ db }) => {
    const [row] = await rowsOf<{ version: string }>(
      db,
      `select extversion as version from pg_extension where extname = 'vector'`,
    )
    const version = row?.version
    if (!version)
      return bad('the extension is not installed', 'Install pgvector on the server, then `sluice migrate up`.')
    if (!isOlder(version, PGVECTOR_SAFE)) return ok(version)
    return {
      state: 'warn',
      detail: `${version} has index corruption bugs that 0.8.6 fixed`,
      hint: 'Upgrade pgvector, then REINDEX.',
    }
  },
  migrations: async ({ db }) => {
    const { pending } = await migrationStatus(db)
    return pending.length === 0 ? ok('up to date') : bad(`pending: ${pending.join(', ')}`, 'Run `sluice migrate up`.')
  },
  'unique index': async ({ db }) => {
    const problem = await uniqueIndexProblem(db)
    return problem
      ? bad(
          problem,
          'The chunker refuses to start. Run `sluice migrate up`; recorded as done, take it back with `sluice migrate down` first.',
        )
      : ok('valid, as the migration makes it')
  },
  dimensions: async ({ db, config }) => {
    const [column] = await rowsOf<{ type: string }>(
      db,
      `select format_type(atttypid, atttypmod) as type from pg_attribute
       where attrelid = to_regclass('tenant_knowledge') and attname = 'embedding'`,
    )
    const expected = `halfvec(${config.embeddings.dimensions})`
    if (column?.type === expected) return ok(expected)
    if (!column) return bad('tenant_knowledge is missing', 'Run `sluice migrate up`.')
    return bad(
      `the column is ${column.type}, the settings say ${expected}`,
      'Set EMBEDDING_DIMENSIONS to the column’s. For other vectors take a new database, or take the tables back (`sluice migrate down --all`).',
    )
  },
  embeddings: async ({ embeddings, config }) => {
    await embeddings.embedQuery('doctor', 'Is this thing on?', AbortSignal.timeout(10_000))
    return ok(`${config.embeddings.model}, ${config.embeddings.dimensions} dimensions`)
  },
  'committed ≤ ledger': (services) =>
    withAdmin(services, async (admin) => {
      const ahead = (await Promise.all(stageNames.map((stage) => aheadOfLedger(services, admin, stage)))).flat()
      return ahead.length === 0
        ? ok('holds for every partition')
        : bad(
            `offsets are ahead of the rows: ${ahead.join(', ')}`,
            'Postgres lost rows (a failover, a restored backup). Restart the stage: it goes back to the ledger by itself.',
          )
    }),
  clocks: async ({ db }) => {
    const before = Date.now()
    const [row] = await rowsOf<{ now: string }>(db, 'select extract(epoch from clock_timestamp()) * 1000 as now')
    const skewMs = Math.round(Number(row!.now) - (before + Date.now()) / 2)
    return Math.abs(skewMs) <= MAX_CLOCK_SKEW_MS
      ? ok(`this machine and Postgres differ by ${Math.abs(skewMs)} ms`)
      : bad(
          `this machine and Postgres differ by ${skewMs} ms`,
          'Page versions are times: synchronise the clocks (NTP).',
        )
  },
}

async function aheadOfLedger(
  { db, config }: Services,
  admin: Admin,
  stage: (typeof stageNames)[number],
): Promise<string[]> {
  if (!topology[stage].ledger) return []
  const lag = await stageLag(admin, stage, config.topicPrefix)
  const rows: { topic: string; partition: number; next_offset: string | null }[] = await db('stage_offsets')
    .where({ consumer_group: config.topicPrefix + topology[stage].group })
    .select('topic', 'partition', 'next_offset')
  const ledger = new Map(rows.map((row) => [`${row.topic}/${row.partition}`, row.next_offset]))
  return lag.flatMap(({ topic, partition, committed }) => {
    const next = ledger.get(`${topic}/${partition}`)
    const ahead = committed !== null && committed > BigInt(next ?? 0)
    return ahead ? [`${topic}/${partition} ${committed} > ${next ?? 'no ledger'}`] : []
  })
}

async function withAdmin<T>({ kafka }: Services, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafka('doctor').admin()
  try {
    await admin.connect()
    return await work(admin)
  } finally {
    await admin.disconnect().catch(() => {})
  }
}

function isOlder(version: string, than: readonly number[]): boolean {
  const parts = version.split('.').map(Number)
  const at = than.findIndex((part, index) => (parts[index] ?? 0) !== part)
  return at >= 0 && (parts[at] ?? 0) < than[at]!
}

/** What a check looks through: while that is away it can tell nothing. */
const needs: Readonly<Record<string, readonly string[]>> = {
  topics: ['kafka'],
  pgvector: ['postgres'],
  migrations: ['postgres'],
  'unique index': ['postgres'],
  dimensions: ['postgres'],
  'committed ≤ ledger': ['kafka', 'postgres'],
  clocks: ['postgres'],
}

/** Above the slowest honest answer; a dependency that hangs is as good as away. */
const CHECK_TIMEOUT_MS = 15_000

/** Yields a finding a check, as soon as it is done; one that is bad keeps only those from running that look through it. */
export async function* checkUp(services: Services): AsyncGenerator<Finding> {
  const away = new Set<string>()
  for (const [check, look] of Object.entries(checks)) {
    const blocker = needs[check]?.find((name) => away.has(name))
    const found = blocker
      ? ({ state: 'warn', detail: `not looked at: ${blocker} is away` } as const)
      : await inTime(look(services)).catch(failed)
    if (found.state === 'bad') away.add(check)
    yield { check, ...found }
  }
}

function failed(error: unknown) {
  const { message, hint } = describeError(error)
  return bad(message, hint || 'See the lines above.')
}

async function inTime<T>(looking: Promise<T>): Promise<T> {
  const late = sleep(CHECK_TIMEOUT_MS, undefined, { ref: false }).then(() => {
    throw new Error(`no answer within ${CHECK_TIMEOUT_MS / 1000} s`)
  })
  return Promise.race([looking, late])
}
