/** `sluice pause`, `resume`, `limit`, `tenant limit`: commands to the whole fleet, through pipeline.control. */
import { randomUUID } from 'node:crypto'
import { createControlChannel } from '../../connectors/kafka/control.ts'
import type { ControlConnection } from '../../connectors/kafka/control.ts'
import { UserError } from '../../streams/errors.ts'
import type { Limit } from '../../streams/throttle/control-state.ts'
import type { Part } from '../endpoints.ts'
import { pauseTarget, readTarget, requirePartition, resumeTarget, setLimits } from '../operator.ts'
import type { Services } from '../services.ts'
import { wishedLimits } from './control-limits.ts'
import type { LimitWish } from './control-limits.ts'
import { describe, printLimits, printPauses } from './control-output.ts'
import { note } from './output.ts'
import { withServices } from './with-services.ts'

interface Common {
  readonly json: boolean
  readonly tenant?: string
  readonly reason?: string
}
export interface PauseOptions extends Common {
  readonly partition?: number
}

/** Without a stage and a tenant: lists what is paused. */
export async function pause(stage: string | undefined, options: PauseOptions): Promise<void> {
  const target = readTarget(stage, options)
  if (!target) return withControl((_, channel) => printPauses([...channel.state().pauses.values()], options))
  await withControl(async ({ kafka, config }, channel) => {
    await requirePartition(kafka('partitions'), config.topicPrefix, target)
    await pauseTarget(channel, target, options)
    note(`paused: ${describe(target)}; \`sluice resume\` with the same words lifts it`)
    printPauses([...channel.state().pauses.values()], options)
  })
}

/** Lifts the one pause that is named, and tells which others hold. */
export async function resume(stage: string | undefined, options: PauseOptions): Promise<void> {
  const target = readTarget(stage, options)
  if (!target)
    throw new UserError('resume what?', 'Name a stage, `all`, or --tenant; `sluice pause` lists what is paused.', 2)
  await withControl(async ({ kafka, config }, channel) => {
    await requirePartition(kafka('partitions'), config.topicPrefix, target)
    const held = await resumeTarget(channel, target)
    note(held ? `resumed: ${describe(target)}` : `nothing to lift: ${describe(target)} was not paused by itself`)
    const rest = [...channel.state().pauses.values()]
    if (rest.length > 0) note('still in force:')
    printPauses(rest, options, '')
  })
}

export type LimitOptions = Common & LimitWish

/** Without anything to set: lists what is limited. */
export async function limit(resource: string | undefined, options: LimitOptions): Promise<void> {
  if (options.tenant?.trim() === '') throw new UserError('the tenant must not be empty', 'Name one: --tenant acme', 2)
  const tenant = options.tenant ?? ''
  const wishes = wishedLimits(resource, options, tenant)
  await withControl(async (_, channel) => {
    await setLimits(channel, wishes, tenant, options)
    if (wishes.length > 0) note('in force now:')
    const isMeant = (one: Limit) => tenant === '' || one.tenant === tenant
    printLimits([...channel.state().limits.values()].filter(isMeant), options)
  })
}

// --- the channel

export function withControl(
  work: (services: Services, channel: ControlConnection) => Promise<void> | void,
  more: readonly Part[] = [],
): Promise<void> {
  return withServices(['kafka', 'registry', ...more], async (services) => {
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
