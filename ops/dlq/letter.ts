/** A record of a dead-letter topic, as its headers tell. */
import { originKey } from '../../connectors/postgres/dead-letter-actions.ts'
import type { LetterAction, LetterName } from '../../connectors/postgres/dead-letter-actions.ts'
import { readCycle, readFailure, readTravelled } from '../../streams/runtime/headers.ts'
import type { ScannedRecord } from './scan.ts'
import type { Action, DeadLetterFilter, LetterState, Position } from './types.ts'

/** Without the value: what may be kept of many. */
export interface Letter extends LetterName {
  readonly key: string
  readonly tenant: string
  readonly code: string
  readonly message: string
  readonly attempts: number
  readonly cycle: number
  readonly firstFailureMs: number
  readonly deadSinceMs: number
  readonly bytes: number
}

/** Anybody may have produced to the topic: a record without the runtime's headers is its own origin. */
export function readLetter(topic: string, record: ScannedRecord): Letter {
  const { partition, offset, timestampMs, headers } = record
  const here = { topic, partition, offset: String(offset) }
  const travelled = readTravelled(headers, here, timestampMs)
  const isUsable =
    Number.isInteger(travelled.origin.partition) &&
    /^\d{1,18}$/.test(travelled.origin.offset) &&
    Number.isSafeInteger(travelled.timestampMs)
  const origin = isUsable
    ? { ...travelled.origin, timestampMs: travelled.timestampMs }
    : { ...here, timestampMs: timestampMs }
  return {
    ...{ origin, partition, offset: here.offset, key: originKey(origin) },
    tenant: record.key?.toString() ?? '',
    ...readFailure(headers),
    attempts: travelled.attempt,
    cycle: readCycle(headers),
    firstFailureMs: travelled.firstFailureMs || timestampMs,
    deadSinceMs: timestampMs,
    bytes: record.value?.length ?? 0,
  }
}

export const matches = (letter: Letter, { at, tenant, code, sinceMs }: DeadLetterFilter): boolean =>
  (tenant === undefined || letter.tenant === tenant) &&
  (code === undefined || letter.code === code) &&
  (sinceMs === undefined || letter.deadSinceMs >= sinceMs) &&
  (at === undefined || at.some((one) => isAt(one, letter)))

export const isAt = ({ partition, offset }: Position, letter: LetterName): boolean =>
  partition === letter.partition && String(offset) === letter.offset

export const stateOf = (action: LetterAction | undefined): LetterState =>
  action === undefined
    ? 'open'
    : action.doneMs === null
      ? 'under way'
      : action.action === 'redrive'
        ? 'redriven'
        : 'discarded'

export function toAction(action: LetterAction | undefined): Action | null {
  if (!action) return null
  const state = stateOf(action) as Action['state']
  return { state, reason: action.reason, actor: action.actor, atMs: action.doneMs ?? action.claimedMs }
}
