/**
 * Moving the live group itself. `committed ≤ ledger` holds at every instant, so that a kill in the middle leaves a group
 * that starts too early at the worst: back, Kafka goes first and the ledger follows; forward, the ledger goes first.
 */
import type { Admin } from 'kafkajs'
import type { Knex } from 'knex'
import { fetchBounds } from '../../connectors/kafka/bounds.ts'
import { readLedger, setLedger } from '../../connectors/postgres/ledger-reset.ts'
import type { LedgerTarget } from '../../connectors/postgres/ledger-reset.ts'
import { UserError } from '../../streams/errors.ts'
import { topology } from '../../streams/topology.ts'
import type { StageName } from '../../streams/topology.ts'
import { resolve } from './positions.ts'
import type { Position } from './positions.ts'

export interface ResetStep {
  readonly topic: string
  readonly partition: number
  /** Next offset by the group; null: never committed. */
  readonly committed: bigint | null
  /** Next offset by the ledger; null: none. undefined: the stage keeps none. */
  readonly ledger: bigint | null | undefined
  readonly to: bigint
  readonly end: bigint
}

interface Options {
  readonly admin: Admin
  readonly db: Knex
  readonly prefix: string
  readonly stage: StageName
}

const groupOf = ({ prefix, stage }: Options) => prefix + topology[stage].group

/** What a reset would do. @throws UserError when there is no such partition. */
export async function planReset(options: Options, to: Position, partition?: number): Promise<ResetStep[]> {
  const { admin, db, prefix, stage } = options
  const topic = prefix + topology[stage].from
  const bounds = (await fetchBounds(admin, topic)).filter(
    (one) => partition === undefined || one.partition === partition,
  )
  if (bounds.length === 0)
    throw new UserError(`${topic} has no partition ${partition}`, 'Leave --partition out to mean all.', 2)
  const targets = await resolve(admin, topic, to, bounds)
  const committed = await committedOf(admin, groupOf(options), topic)
  const ledger = topology[stage].ledger ? await readLedger(db, groupOf(options)) : undefined
  return bounds
    .map(({ partition, high }) => ({
      ...{ topic, partition, end: high, to: targets.get(partition)! },
      committed: committed.get(partition) ?? null,
      ledger: ledger && (ledger.get(`${topic}/${partition}`) ?? null),
    }))
    .sort((a, b) => a.partition - b.partition)
}

/** @throws UserError while the group has members, or when Kafka does not hold what was set. */
export async function applyReset(options: Options, steps: readonly ResetStep[]): Promise<void> {
  const { admin, db } = options
  const group = groupOf(options)
  await requireEmpty(admin, group)
  const target = ({ topic, partition, to }: ResetStep): LedgerTarget => ({ topic, partition, next: to })
  const kept = steps.filter(({ ledger }) => ledger !== undefined)
  // A ledger that was never written holds nothing back, and once Kafka has an offset it must not be behind that.
  const ahead = ({ ledger, to }: ResetStep) => ledger === null || ledger! < to
  await setLedger(db, group, kept.filter(ahead).map(target))
  const partitions = steps.map(({ partition, to }) => ({ partition, offset: String(to) }))
  await admin.setOffsets({ groupId: group, topic: steps[0]!.topic, partitions })
  await verify(admin, group, steps)
  await setLedger(db, group, kept.filter((step) => !ahead(step)).map(target))
}

/** Its members would commit where they are, over what was set. */
async function requireEmpty(admin: Admin, group: string): Promise<void> {
  const { groups } = await admin.describeGroups([group])
  const { state = 'Dead', members = [] } = groups[0] ?? {}
  if (state === 'Empty' || state === 'Dead') return
  const who = members.map(({ clientId, clientHost }) => `${clientId} ${clientHost}`).join(', ')
  throw new UserError(
    `${group} has ${members.length} member(s): ${who || state}`,
    'Stop every instance of the stage first (a killed one counts for 10 s more), or use `sluice replay`, which needs no stop.',
  )
}

async function verify(admin: Admin, group: string, steps: readonly ResetStep[]): Promise<void> {
  const committed = await committedOf(admin, group, steps[0]!.topic)
  const wrong = steps.filter(({ partition, to }) => committed.get(partition) !== to)
  if (wrong.length === 0) return
  const list = wrong.map(({ partition, to }) => `${partition}: ${committed.get(partition) ?? 'none'} in place of ${to}`)
  throw new UserError(`Kafka does not hold what was set: partition ${list.join('; ')}`, 'Say it again.')
}

async function committedOf(admin: Admin, group: string, topic: string): Promise<Map<number, bigint>> {
  const [offsets] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
  const known = (offsets?.partitions ?? []).map(({ partition, offset }): [number, bigint] => [
    partition,
    BigInt(offset),
  ])
  return new Map(known.filter(([, offset]) => offset >= 0n))
}
