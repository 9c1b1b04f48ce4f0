/**
 * What pipeline.control says, from its records in the order of the log. The record's key names what is commanded, so
 * that a newer command replaces the older and compaction keeps each in force; an empty value lifts it.
 */
import type { PipelineControl } from '../../schemas/generated/types.ts'
import { stageNames } from '../topology.ts'
import type { StageName } from '../topology.ts'
import { closedFromStart, readBreaker, reduceBreaker } from './breaker-state.ts'
import type { BreakerState } from './breaker-state.ts'

/** Public names. Totals over all instances: records, requests and tokens per second; slots at once. */
export const budgetNames = [
  ...(['embedding_requests', 'embedding_tokens', 'embedding_slots', 'database_slots'] as const),
  ...(['crawler_records', 'processor_records', 'chunker_records'] as const),
] as const
export type BudgetName = (typeof budgetNames)[number]

interface Command {
  readonly reason: string
  readonly by: string
  readonly sinceMs: number
}
export interface Pause extends Command {
  /** Empty: all. */
  readonly stage: StageName | ''
  /** Empty: all. */
  readonly tenant: string
  /** -1: all. */
  readonly partition: number
}
export interface Limit extends Command {
  readonly budget: BudgetName
  /** Empty: the total over all tenants. */
  readonly tenant: string
  /** null: no limit, whatever the environment says. */
  readonly value: number | null
}

/** In the order in which they were given. */
export interface ControlState {
  readonly pauses: ReadonlyMap<string, Pause>
  readonly limits: ReadonlyMap<string, Limit>
  readonly breakers: ReadonlyMap<string, BreakerState>
}

export interface ControlRecord {
  readonly key: string
  /** null: lifts what the key names. */
  readonly value: PipelineControl | null
  /** When it was written, milliseconds since the epoch, by the writer's clock. */
  readonly timestampMs: number
  /** false: it was in the log before this reader came. */
  readonly live: boolean
}

/** One instance's access to the log. */
export interface ControlChannel {
  /** Unique per process: a restarted one is another. */
  readonly instance: string
  readonly state: () => ControlState
  /** Calls after new records were read; all of the log so far is in `state()`. @returns the cancellation. */
  readonly onChange: (call: (state: ControlState) => void) => () => void
  /** Resolves once all replicas have it; fields that are not given have their defaults. null lifts what the key names. */
  readonly publish: (key: string, value: Partial<PipelineControl> | null) => Promise<void>
}

/** A record that commands nothing: what a field holds when it is not given. */
export const controlDefaults: PipelineControl = {
  ...{ command: 'NONE', stage: '', tenant_id: '', partition: -1, reason: '', issued_by: '', issued_at: 0n },
  ...{ budget: '', value: -1, dependency: '', breaker_state: 'NONE', term: 0n, duration_ms: 0n, failures: 0 },
  instance: '',
}

export const emptyControl: ControlState = { pauses: new Map(), limits: new Map(), breakers: new Map() }

/** A tenant's id may hold any character, the slash too. */
const part = (text: string) => encodeURIComponent(text.toWellFormed())
export const pauseKey = ({ stage, tenant, partition }: Pick<Pause, 'stage' | 'tenant' | 'partition'>) =>
  `pause/${stage}/${part(tenant)}/${partition === -1 ? '' : partition}`
export const limitKey = ({ budget, tenant }: Pick<Limit, 'budget' | 'tenant'>) => `limit/${budget}/${part(tenant)}`
export const breakerKey = (dependency: string) => `breaker/${part(dependency)}`

export type Applied = { readonly state: ControlState; readonly problem?: undefined } | { readonly problem: string }

/** Pure. `problem`: the record says nothing that this version understands and changes nothing. */
export function applyControl(state: ControlState, record: ControlRecord, nowMs: number): Applied {
  const { key, value } = record
  if (value === null || value.command === 'RESUME') return { state: lift(state, key) }
  const sinceMs = Number(value.issued_at / 1000n) || record.timestampMs
  const command = { reason: value.reason, by: value.issued_by, sinceMs }
  if (value.command === 'PAUSE') {
    const pause = readPause(value, command)
    if (!pause) return { problem: 'a pause of a stage or partition that there is not' }
    if (pauseKey(pause) !== key) return { problem: misnamed }
    return { state: { ...state, pauses: put(state.pauses, key, pause) } }
  }
  if (value.command === 'LIMIT') {
    const limit = readLimit(value, command)
    if (!limit) return { problem: 'a limit of a budget that there is not, or without a number' }
    if (limitKey(limit) !== key) return { problem: misnamed }
    return { state: { ...state, limits: put(state.limits, key, limit) } }
  }
  const change = value.command === 'BREAKER' ? readBreaker(value) : undefined
  if (!change) return { problem: 'a command that this version does not know' }
  if (breakerKey(value.dependency) !== key) return { problem: misnamed }
  const before = state.breakers.get(value.dependency) ?? closedFromStart
  const breaker = reduceBreaker(before, change, { ...record, nowMs })
  return { state: { ...state, breakers: new Map(state.breakers).set(value.dependency, breaker) } }
}

/** Nobody could lift it: the key that lifts is made from what is commanded. */
const misnamed = 'the key names something else than the value'

function readPause({ stage, tenant_id, partition }: PipelineControl, command: Command): Pause | undefined {
  if ((stage !== '' && !stageNames.includes(stage as StageName)) || partition < -1) return undefined
  return { stage: stage as StageName | '', tenant: tenant_id, partition, ...command }
}

function readLimit({ budget, tenant_id, value }: PipelineControl, command: Command): Limit | undefined {
  if (!budgetNames.includes(budget as BudgetName) || !Number.isFinite(value) || value === 0) return undefined
  return { budget: budget as BudgetName, tenant: tenant_id, value: value < 0 ? null : value, ...command }
}

function lift({ pauses, limits, breakers }: ControlState, key: string): ControlState {
  const without = <V>(map: ReadonlyMap<string, V>, isMeant: (name: string) => boolean) =>
    new Map([...map].filter(([name]) => !isMeant(name)))
  return {
    pauses: without(pauses, (name) => name === key),
    limits: without(limits, (name) => name === key),
    breakers: without(breakers, (dependency) => breakerKey(dependency) === key),
  }
}

/** The newest command stands last. */
function put<V>(map: ReadonlyMap<string, V>, key: string, value: V): ReadonlyMap<string, V> {
  const next = new Map(map)
  next.delete(key)
  return next.set(key, value)
}

/**
 * The command that holds this work up, or undefined; one of a whole stage or partition (its `tenant` is empty) before
 * one of the tenant. Without a tenant or partition only what holds up all of them counts.
 */
export function isPaused({ pauses }: ControlState, stage: StageName, tenant = '', partition = -1): Pause | undefined {
  const holding = [...pauses.values()].filter(
    (pause) =>
      (pause.stage === '' || pause.stage === stage) &&
      (pause.tenant === '' || pause.tenant === tenant) &&
      (pause.partition === -1 || pause.partition === partition),
  )
  return holding.find((pause) => pause.tenant === '') ?? holding[0]
}

/** What operators made the fleet's total; null: no limit; undefined: they said nothing, the environment counts. */
export const total = ({ limits }: ControlState, budget: BudgetName): number | null | undefined =>
  limits.get(limitKey({ budget, tenant: '' }))?.value

/** A tenant's own limits by budget; undefined: it has none. */
export function tenantLimits({ limits }: ControlState, tenant: string): Readonly<Record<string, number>> | undefined {
  if (limits.size === 0) return undefined // the usual case, asked for every record
  const own = [...limits.values()].filter((limit) => limit.tenant === tenant && tenant !== '' && limit.value !== null)
  return own.length === 0 ? undefined : Object.fromEntries(own.map(({ budget, value }) => [budget, value!]))
}
