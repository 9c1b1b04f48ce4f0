/**
 * What state a partition is in, from all that is known of it. Pure. Two promises: a deliberate wait never reads as a
 * stall, and a real stall is never hidden by a pause. So what proves a stall (nobody owns the partition, a record is under
 * way past its deadline, its start was refused) is looked at first, then the pauses, then the limits, then progress.
 */
import type { PartitionReport, ReceivedReport } from '../../connectors/postgres/stage-reports.ts'
import type { LagState } from './rows.ts'

export interface Facts {
  readonly lag: bigint
  /** By command, the partition or all of its stage. null: the commands are not known. */
  readonly isPaused: boolean | null
  /** Circuits that are open and that the stage may need. */
  readonly openCircuits: readonly string[]
  /** Who owns the partition in its group; unknown: the group is between two owners, or was not told of. */
  readonly member: 'live' | 'none' | 'unknown'
  /** The newest that names the partition, however old; null: there is none. */
  readonly report: { readonly stage: ReceivedReport; readonly partition: PartitionReport } | null
  /** Postgres can be reached from here and, as its circuit says, from the fleet: an absent report says something. */
  readonly reportsExpected: boolean
  /** Next offset to process as the broker knows it. */
  readonly committed: bigint
  /** How long whoever asks has watched it stand still. */
  readonly watchedStillMs: number
  readonly oldestAgeMs: number | null
}

export interface Verdict {
  readonly state: LagState
  readonly reasons: readonly string[]
}

/** Instances report every 5 s at least. */
export const FRESH_MS = 15_000
export const STALL_MS = 30_000
/** A record that timed out goes to its retry topic. */
const SETTLE_MS = 5_000
/** Without reports a wait for a record's next attempt (a minute) cannot be told from a stall. */
const UNREPORTED_STALL_MS = 120_000

const verdict = (state: LagState, reasons: readonly string[]): Verdict => ({ state, reasons: [...new Set(reasons)] })

export function judge(facts: Facts): Verdict {
  const { lag, member, report } = facts
  const isFresh = report !== null && report.stage.ageMs <= FRESH_MS
  const operator = isFresh ? (facts.isPaused ?? has(report.partition, 'operator')) : facts.isPaused === true
  const why = operator ? ['operator'] : []
  if (lag === 0n) return verdict(operator ? 'paused' : 'running', why)
  if (member === 'none') return verdict('stalled', [...why, 'no-member'])
  const between = member === 'unknown' ? ['rebalancing'] : []
  return isFresh
    ? judgeReported(facts, report, [...why, ...between])
    : judgeUnreported(facts, [...why, ...between, 'unreported'])
}

function judgeReported(facts: Facts, { stage, partition }: NonNullable<Facts['report']>, told: string[]): Verdict {
  const away = [...partition.dependencies, ...(partition.pauses.some(isGuard) ? facts.openCircuits : [])]
  const limits = limitsOf(stage, partition)
  const reasons = [...told, ...away.map((name) => `dependency:${name}`), ...limits]
  if (isHung(stage, partition)) return verdict('stalled', [...reasons, 'hung'])
  if (away.length === 0 && partition.pauses.some((one) => isGuard(one) && one.agoMs + stage.ageMs >= STALL_MS))
    return verdict('stalled', [...reasons, 'offset-guard'])
  if (told.includes('operator') || away.length > 0) return verdict('paused', reasons)
  if (isHeldByTenants(partition)) return verdict('paused', [...reasons, 'tenant-paused'])
  if (limits.length > 0) return verdict('throttled', reasons)
  if (quietMs(facts, stage, partition) < STALL_MS) return verdict('running', [...reasons, ...notes(partition)])
  const asked = partition.inFlight > 0 ? stage.behind.filter(({ inFlight }) => inFlight > 0) : []
  // Requests have timeouts of their own, and their dependency's circuit breaker counts them: no fault of the handler.
  if (asked.length > 0)
    return verdict('throttled', [...reasons, ...asked.map(({ dependency }) => `awaits:${dependency}`)])
  return verdict('stalled', [...reasons, 'no-progress'])
}

/** Its owner lives and says nothing: known is what was commanded, and whether the offsets move. */
function judgeUnreported(facts: Facts, told: string[]): Verdict {
  const { reportsExpected, report, openCircuits, watchedStillMs, committed } = facts
  const hasMoved = report !== null && committed > BigInt(report.partition.next)
  const silentMs = Math.max(watchedStillMs, report && !hasMoved ? report.stage.ageMs : 0)
  if (silentMs >= (reportsExpected ? STALL_MS : UNREPORTED_STALL_MS) && (reportsExpected || !isHeld(facts)))
    return verdict('stalled', told)
  const away = openCircuits.map((name) => `dependency:${name}`)
  return verdict(isHeld(facts) ? 'paused' : 'running', [...told, ...away])
}

const isHeld = ({ isPaused, openCircuits }: Facts) => isPaused === true || openCircuits.length > 0
const has = ({ pauses }: PartitionReport, reason: string) => pauses.some((one) => one.reason === reason)
const isGuard = ({ reason }: { reason: string }) => reason === 'offset-guard'

/**
 * Past its deadline a record's outcome is not waited for, so what is still under way hangs in what comes after. Time at a
 * gate is no work: a limit makes nothing late, and hides nothing that is.
 */
const isHung = ({ recordTimeoutMs }: ReceivedReport, { longestWorkMs }: PartitionReport) =>
  longestWorkMs > recordTimeoutMs + SETTLE_MS

/**
 * What holds the records back on purpose. Not among them: `slots` at the stage's own gate, for that is this process at
 * its capacity, and one more would help.
 */
function limitsOf({ behind }: ReceivedReport, { waits, inFlight, pauses }: PartitionReport): string[] {
  const own = waits.filter((one) => one !== 'slots' && one !== 'operator' && one !== 'retry-due')
  // Tenants that are limited stand beside others that are worked on as fast as this process can.
  const shared = waits.includes('slots') ? own.filter((one) => one !== 'tenant') : own
  const later = waits.includes('retry-due') && inFlight === 0 && !waits.includes('slots') ? ['retry-due'] : []
  const full =
    pauses.some(({ reason }) => reason === 'tenant') && shared.length === 0 && inFlight === 0 ? ['tenant'] : []
  const standing = behind.filter(({ waiting, heldBy }) => waiting > 0 && heldBy !== null && inFlight > 0)
  return [...shared, ...later, ...full, ...standing.map(({ gate, heldBy }) => `${gate}:${heldBy}`)]
}

const isHeldByTenants = ({ waits, inFlight }: PartitionReport) =>
  inFlight === 0 && waits.length > 0 && waits.every((one) => one === 'operator')

const notes = ({ waits, pauses }: PartitionReport) => [
  ...(waits.includes('slots') ? ['capacity'] : []),
  ...(pauses.some(isGuard) ? ['offset-guard'] : []),
]

/** With nothing fetched, the wait began when the record came to the log. */
function quietMs({ oldestAgeMs }: Facts, { ageMs }: ReceivedReport, { oldestRecordMs, movedAgoMs }: PartitionReport) {
  const movedMs = movedAgoMs + ageMs
  return oldestRecordMs === null && oldestAgeMs !== null ? Math.min(movedMs, oldestAgeMs) : movedMs
}
