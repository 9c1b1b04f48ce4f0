/** `sluice pause`, `resume`, `limit`, `tenant limit`: commands to the whole fleet, through pipeline.control. */
import { randomUUID } from 'node:crypto'
import { hostname, userInfo } from 'node:os'
import { createControlChannel } from '../../connectors/kafka/control.ts'
import type { ControlConnection } from '../../connectors/kafka/control.ts'
import { UserError } from '../../streams/errors.ts'
import { limitKey, pauseKey } from '../../streams/throttle/control-state.ts'
import type { Limit, Pause } from '../../streams/throttle/control-state.ts'
import { stageNames, topology } from '../../streams/topology.ts'
import type { StageName } from '../../streams/topology.ts'
import type { Services } from '../services.ts'
import { wishedLimits } from './control-limits.ts'
import type { LimitWish } from './control-limits.ts'
import { describe, printLimits, printPauses } from './control-output.ts'
import { note } from './output.ts'
import { withServices } from './with-services.ts'

/** The way through the log takes milliseconds. */
const SHOWN_MS = 10_000

interface Common {
  readonly json: boolean
  readonly tenant?: string
  readonly reason?: string
}
export interface PauseOptions extends Common {
  readonly partition?: number
}

type Target = Pick<Pause, 'stage' | 'tenant' | 'partition'>

/** Without a stage and a tenant: lists what is paused. */
export async function pause(stage: string | undefined, options: PauseOptions): Promise<void> {
  const target = targetOf(stage, options)
  if (!target) return withControl((_, channel) => printPauses([...channel.state().pauses.values()], options))
  await withControl(async (services, channel) => {
    await requirePartition(services, target)
    const value = { stage: target.stage, tenant_id: target.tenant, partition: target.partition }
    await channel.publish(pauseKey(target), { command: 'PAUSE', ...value, ...issued(options) })
    note(`paused: ${describe(target)}; \`sluice resume\` with the same words lifts it`)
    await shown(channel, () => channel.state().pauses.has(pauseKey(target)))
    printPauses([...channel.state().pauses.values()], options)
  })
}

/** Lifts the one pause that is named, and tells which others hold. */
export async function resume(stage: string | undefined, options: PauseOptions): Promise<void> {
  const target = targetOf(stage, options)
  if (!target)
    throw new UserError('resume what?', 'Name a stage, `all`, or --tenant; `sluice pause` lists what is paused.', 2)
  await withControl(async (services, channel) => {
    await requirePartition(services, target)
    const key = pauseKey(target)
    const held = channel.state().pauses.has(key)
    if (held) await channel.publish(key, null)
    note(held ? `resumed: ${describe(target)}` : `nothing to lift: ${describe(target)} was not paused by itself`)
    await shown(channel, () => !channel.state().pauses.has(key))
    const rest = [...channel.state().pauses.values()]
    if (rest.length > 0) note('still in force:')
    printPauses(rest, options, '')
  })
}

export type LimitOptions = Common & LimitWish

/** Without anything to set: lists what is limited. */
export async function limit(resource: string | undefined, options: LimitOptions): Promise<void> {
  const tenant = tenantOf(options) ?? ''
  const wishes = wishedLimits(resource, options, tenant)
  await withControl(async (_, channel) => {
    for (const { budget, value } of wishes) {
      const key = limitKey({ budget, tenant })
      if (value !== 'off') {
        const total = value === 'unlimited' ? -1 : value
        await channel.publish(key, { command: 'LIMIT', budget, tenant_id: tenant, value: total, ...issued(options) })
      } else if (channel.state().limits.has(key)) await channel.publish(key, null)
    }
    await shown(channel, () =>
      wishes.every(({ budget, value }) => {
        const now = channel.state().limits.get(limitKey({ budget, tenant }))
        return value === 'off' ? !now : now && (value === 'unlimited' ? now.value === null : now.value === value)
      }),
    )
    if (wishes.length > 0) note('in force now:')
    const isMeant = (one: Limit) => tenant === '' || one.tenant === tenant
    printLimits([...channel.state().limits.values()].filter(isMeant), options)
  })
}

// --- what is meant

/** undefined: nothing is named. */
function targetOf(stage: string | undefined, options: PauseOptions): Target | undefined {
  const tenant = tenantOf(options)
  const { partition } = options
  if (stage !== undefined && stage !== 'all' && !stageNames.includes(stage as StageName))
    throw new UserError(`no stage ${stage}`, `The stages are ${stageNames.join(', ')}; \`all\` means each of them.`, 2)
  if (partition !== undefined && (stage === undefined || stage === 'all'))
    throw new UserError('--partition needs a stage', 'For example: sluice pause processor --partition 3', 2)
  if (partition !== undefined && tenant !== undefined)
    throw new UserError('--tenant and --partition exclude each other', 'A tenant is on one partition as it is.', 2)
  if (stage === undefined && tenant === undefined) {
    if (options.reason === undefined) return undefined
    throw new UserError('a reason for what?', 'Name a stage, `all`, or --tenant.', 2)
  }
  const named = stage === undefined || stage === 'all' ? '' : (stage as StageName)
  return { stage: named, tenant: tenant ?? '', partition: partition ?? -1 }
}

function tenantOf({ tenant }: Common): string | undefined {
  if (tenant?.trim() === '') throw new UserError('the tenant must not be empty', '', 2)
  return tenant
}

async function requirePartition({ kafka, config }: Services, { stage, partition }: Target): Promise<void> {
  if (stage === '' || partition === -1) return
  const topic = config.topicPrefix + topology[stage].from
  const admin = kafka('partitions').admin()
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

const issued = ({ reason = '' }: Common) => ({
  reason,
  issued_by: `${userName()}@${hostname()}`,
  issued_at: BigInt(Date.now()) * 1000n,
})

/** A container may run under a number that has no name. */
function userName(): string {
  try {
    return userInfo().username
  } catch {
    return String(process.getuid?.() ?? 'unknown')
  }
}

// --- the channel

function withControl(work: (services: Services, channel: ControlConnection) => Promise<void> | void): Promise<void> {
  return withServices(['kafka', 'registry'], async (services) => {
    const channel = createControlChannel({
      ...{ kafka: services.kafka('control'), topic: `${services.config.topicPrefix}pipeline.control` },
      ...{ produce: services.producer.produce, logger: services.logger, instance: randomUUID() },
      encode: (value) => services.codec.encode('pipeline.control', value),
      decode: (value) => services.codec.decode('pipeline.control', value),
    })
    try {
      await Promise.all([services.producer.connect(), channel.start()])
      await work(services, channel)
    } finally {
      await channel.close()
    }
  })
}

/** Until the command has come back through the log, as it comes to every instance. */
async function shown(channel: ControlConnection, is: () => unknown): Promise<void> {
  const seen = Promise.withResolvers<void>()
  const look = () => is() && seen.resolve()
  channel.onChange(look)
  look()
  const late = new UserError('the command was written but has not been read back', 'List what is in force to see it.')
  const timer = setTimeout(() => seen.reject(late), SHOWN_MS)
  await seen.promise.finally(() => clearTimeout(timer))
}
