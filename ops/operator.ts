/** What operators command, for the command line and the console alike: written to pipeline.control, and read back. */
import { hostname, userInfo } from 'node:os'
import type { Kafka } from 'kafkajs'
import { UserError } from '../streams/errors.ts'
import { limitKey, pauseKey } from '../streams/throttle/control-state.ts'
import type { ControlChannel, Pause } from '../streams/throttle/control-state.ts'
import { stageNames, topology } from '../streams/topology.ts'
import type { StageName } from '../streams/topology.ts'
import type { WishedLimit } from './commands/control-limits.ts'

/** The way through the log takes milliseconds. */
const SHOWN_MS = 10_000

/** Empty stage or tenant, partition -1: all. */
export type Target = Pick<Pause, 'stage' | 'tenant' | 'partition'>

export interface Told {
  readonly reason?: string | undefined
  /** Who: shown to everybody who lists what is in force. */
  readonly by?: string | undefined
}

/** @returns undefined: nothing is named. @throws UserError naming what to write instead. */
export function readTarget(
  stage: string | undefined,
  { tenant, partition, reason }: { tenant?: string; partition?: number; reason?: string },
): Target | undefined {
  if (tenant?.trim() === '') throw new UserError('the tenant must not be empty', 'Name one: --tenant acme', 2)
  if (stage !== undefined && stage !== 'all' && !stageNames.includes(stage as StageName))
    throw new UserError(`no stage ${stage}`, `The stages are ${stageNames.join(', ')}; \`all\` means each of them.`, 2)
  if (partition !== undefined && (stage === undefined || stage === 'all'))
    throw new UserError('--partition needs a stage', 'For example: sluice pause processor --partition 3', 2)
  if (partition !== undefined && tenant !== undefined)
    throw new UserError('--tenant and --partition exclude each other', 'A tenant is on one partition as it is.', 2)
  if (stage === undefined && tenant === undefined) {
    if (reason === undefined) return undefined
    throw new UserError('a reason for what?', 'Name a stage, `all`, or --tenant.', 2)
  }
  const named = stage === undefined || stage === 'all' ? '' : (stage as StageName)
  return { stage: named, tenant: tenant ?? '', partition: partition ?? -1 }
}

/** Resolves once it holds. */
export async function pauseTarget(channel: ControlChannel, target: Target, told: Told): Promise<void> {
  const value = { stage: target.stage, tenant_id: target.tenant, partition: target.partition }
  await channel.publish(pauseKey(target), { command: 'PAUSE', ...value, ...issued(told) })
  await shown(channel, () => channel.state().pauses.has(pauseKey(target)))
}

/** Lifts the one pause that is named. @returns false: there was none. */
export async function resumeTarget(channel: ControlChannel, target: Target): Promise<boolean> {
  const key = pauseKey(target)
  if (!channel.state().pauses.has(key)) return false
  await channel.publish(key, null)
  await shown(channel, () => !channel.state().pauses.has(key))
  return true
}

export async function setLimits(
  channel: ControlChannel,
  wishes: readonly WishedLimit[],
  tenant: string,
  told: Told,
): Promise<void> {
  for (const { budget, value } of wishes) {
    const key = limitKey({ budget, tenant })
    if (value !== 'off') {
      const total = value === 'unlimited' ? -1 : value
      await channel.publish(key, { command: 'LIMIT', budget, tenant_id: tenant, value: total, ...issued(told) })
    } else if (channel.state().limits.has(key)) await channel.publish(key, null)
  }
  await shown(channel, () =>
    wishes.every(({ budget, value }) => {
      const now = channel.state().limits.get(limitKey({ budget, tenant }))
      return value === 'off' ? !now : now && (value === 'unlimited' ? now.value === null : now.value === value)
    }),
  )
}

/** @throws UserError: the stage's topic has no such partition. */
export async function requirePartition(kafka: Kafka, prefix: string, { stage, partition }: Target): Promise<void> {
  if (stage === '' || partition === -1) return
  const topic = prefix + topology[stage].from
  const admin = kafka.admin()
  await admin.connect()
  try {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    const count = topics[0]!.partitions.length
    if (partition >= count)
      throw new UserError(`${topic} has no partition ${partition}`, `Its partitions are 0 to ${count - 1}.`, 2)
  } finally {
    await admin.disconnect()
  }
}

const issued = ({ reason = '', by = issuer() }: Told) => ({
  ...{ reason, issued_by: by },
  issued_at: BigInt(Date.now()) * 1000n,
})

/** Who gives a command at this terminal. */
export const issuer = (): string => `${userName()}@${hostname()}`

/** A container may run under a number that has no name. */
function userName(): string {
  try {
    return userInfo().username
  } catch {
    return String(process.getuid?.() ?? 'unknown')
  }
}

/** Until the command has come back through the log, as it comes to every instance. */
async function shown(channel: ControlChannel, is: () => unknown): Promise<void> {
  const seen = Promise.withResolvers<void>()
  const look = () => is() && seen.resolve()
  const cancel = channel.onChange(look)
  look()
  const late = new UserError('the command was written but has not been read back', 'List what is in force to see it.')
  const timer = setTimeout(() => seen.reject(late), SHOWN_MS)
  await seen.promise.finally(() => {
    clearTimeout(timer)
    cancel()
  })
}
