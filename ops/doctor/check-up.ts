/** `sluice doctor`'s round: every dependency, then every invariant that can be checked from outside. */
import { setTimeout as sleep } from 'node:timers/promises'
import { describeError } from '../commands/hints.ts'
import type { Services } from '../services.ts'
import { embeddingsCheck } from './embeddings-check.ts'
import { bad } from './finding.ts'
import type { Check, Context, Finding, Found } from './finding.ts'
import { groupsCheck } from './groups-check.ts'
import { kafkaCheck, recordTimesCheck, topicsCheck } from './kafka-checks.ts'
import { ledgerCheck } from './ledger-check.ts'
import {
  clocksCheck,
  dimensionsCheck,
  indexCheck,
  migrationsCheck,
  pgvectorCheck,
  postgresCheck,
} from './postgres-checks.ts'
import { schemasCheck } from './schemas-check.ts'

/** In the order in which they are told, which is also the one to mend things in. */
export const checks: readonly Check[] = [
  kafkaCheck,
  topicsCheck,
  schemasCheck,
  postgresCheck,
  pgvectorCheck,
  migrationsCheck,
  indexCheck,
  dimensionsCheck,
  embeddingsCheck,
  ledgerCheck,
  groupsCheck,
  clocksCheck,
  recordTimesCheck,
]

/** Others look through these two, so both waits together must stay below the 15 s that a person grants. */
const DEADLINE_MS = { kafka: 6_000, postgres: 6_000 } as const
const OTHER_DEADLINE_MS = 8_000

/** Side by side, so that what hangs keeps nobody else waiting; told one by one in their order. */
export async function* checkUp(services: Services, { now = Date.now } = {}): AsyncGenerator<Finding> {
  const context = { services, now }
  const running = new Map<string, Promise<Found>>()
  for (const check of checks) running.set(check.name, examine(check, context, running))
  for (const [check, found] of running) yield { check, ...(await found) }
}

async function examine(check: Check, context: Context, running: ReadonlyMap<string, Promise<Found>>): Promise<Found> {
  for (const name of check.needs ?? []) {
    const needed = await running.get(name)!
    if (needed.state === 'bad')
      return {
        state: 'warn',
        detail: `not looked at: ${name} must be well first`,
        hint: `Mend ${name}, then run \`sluice doctor\` again.`,
      }
  }
  const deadlineMs = DEADLINE_MS[check.name as keyof typeof DEADLINE_MS] ?? OTHER_DEADLINE_MS
  return inTime(check.look(context), deadlineMs).catch((error: unknown) => {
    const { message, hint } = describeError(error)
    return bad(message, hint)
  })
}

async function inTime(looking: Promise<Found>, deadlineMs: number): Promise<Found> {
  const settled = new AbortController()
  const late = sleep(deadlineMs, bad(`no answer within ${deadlineMs / 1000} s`, LATE_HINT), { signal: settled.signal })
  // Whoever loses may still reject, with nobody left to hear it.
  late.catch(() => {})
  looking.catch(() => {})
  return Promise.race([looking, late]).finally(() => settled.abort())
}

const LATE_HINT =
  'It takes the connection and says nothing: is a firewall between, or does it want TLS (KAFKA_SSL, sslmode in DATABASE_URL, https) or a name and password?'
