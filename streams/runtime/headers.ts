/** Headers of retries and dead letters: names, bounded sizes, reading and writing in one place. */
import type { StageError } from '../errors.ts'

export type Headers = Readonly<Record<string, Buffer | string | (Buffer | string)[] | undefined>>

/** Most bytes kept of an error's message; it may quote a page. */
const MAX_MESSAGE_BYTES = 1024

const names = {
  originTopic: 'sluice-origin-topic',
  originPartition: 'sluice-origin-partition',
  originOffset: 'sluice-origin-offset',
  attempt: 'sluice-attempt',
  dueMs: 'sluice-due-ms',
  firstFailureMs: 'sluice-first-failure-ms',
  timestampMs: 'sluice-origin-timestamp-ms',
  code: 'sluice-error-code',
  message: 'sluice-error-message',
} as const
const ours: ReadonlySet<string> = new Set(Object.values(names))

export interface Origin {
  readonly topic: string
  readonly partition: number
  readonly offset: string
}

/** What the headers say of a record's past; a record never tried before has attempt 1 and no due time. */
export interface Travelled {
  readonly origin: Origin
  readonly attempt: number
  readonly dueMs: number
  readonly firstFailureMs: number | undefined
  /** The record's first timestamp: a page without a version takes its own from it, so it must not grow with retries. */
  readonly timestampMs: number
}

function text(headers: Headers | undefined, name: string): string | undefined {
  const value = headers?.[name]
  const first = Array.isArray(value) ? value[0] : value
  return first?.toString()
}

/** @param here where the record was read; its origin unless the headers name another. */
export function readTravelled(headers: Headers | undefined, here: Origin, timestampMs: number): Travelled {
  if (!headers) return { origin: here, attempt: 1, dueMs: 0, firstFailureMs: undefined, timestampMs }
  const topic = text(headers, names.originTopic)
  const firstFailure = text(headers, names.firstFailureMs)
  return {
    origin: topic
      ? {
          topic,
          partition: Number(text(headers, names.originPartition)),
          offset: text(headers, names.originOffset) ?? '',
        }
      : here,
    attempt: Number(text(headers, names.attempt) ?? 1) || 1,
    dueMs: Number(text(headers, names.dueMs) ?? 0) || 0,
    firstFailureMs: firstFailure === undefined ? undefined : Number(firstFailure),
    timestampMs: Number(text(headers, names.timestampMs) ?? timestampMs) || timestampMs,
  }
}

interface Failure {
  readonly error: StageError
  readonly nowMs: number
  /** Attempt that comes next; for a dead letter, the attempts that were made. */
  readonly attempt: number
  readonly dueMs?: number
}

/** The producer's own headers stay as they were; ours are replaced, never added up, so redrives cannot grow them. */
export function writeTravelled(original: Headers | undefined, past: Travelled, failure: Failure): Headers {
  return {
    ...originalHeaders(original),
    [names.originTopic]: past.origin.topic,
    [names.originPartition]: String(past.origin.partition),
    [names.originOffset]: past.origin.offset,
    [names.attempt]: String(failure.attempt),
    [names.timestampMs]: String(past.timestampMs),
    [names.firstFailureMs]: String(past.firstFailureMs ?? failure.nowMs),
    [names.code]: failure.error.code,
    [names.message]: truncate(failure.error.message),
    ...(failure.dueMs === undefined ? {} : { [names.dueMs]: String(failure.dueMs) }),
  }
}

/** A record's headers as its producer wrote them. */
export const originalHeaders = (headers: Headers | undefined): Headers =>
  Object.fromEntries(
    Object.entries(headers ?? {})
      .filter(([name]) => !ours.has(name))
      .map(([name, value]) => [name, encodable(value)]),
  )

/** What a dead letter says of its failure; '' where it says nothing. */
export const readFailure = (headers: Headers | undefined) => ({
  code: text(headers, names.code) ?? '',
  message: text(headers, names.message) ?? '',
})

/**
 * Of a redriven record: how often it was given back to its stage, and when it was first sent. Not among `ours`: they
 * must survive the stage that it goes through. A producer that forges them can keep a letter of its own from being
 * redriven, and date a record of its own as it can by the record's timestamp, no more.
 */
const redriven = { cycle: 'sluice-redrive-cycle', sentMs: 'sluice-redrive-sent-ms' } as const

export const readCycle = (headers: Headers | undefined): number => natural(text(headers, redriven.cycle)) ?? 0

/** undefined: it was never redriven, its own timestamp says. */
export const readSentMs = (headers: Headers | undefined): number | undefined => natural(text(headers, redriven.sentMs))

const natural = (digits: string | undefined): number | undefined => {
  const value = Number(digits)
  return digits && Number.isSafeInteger(value) && value > 0 ? value : undefined
}

/** What a dead letter's record carries when it goes back: what its producer wrote, the cycle's number, and its own time. */
export const redriveHeaders = (headers: Headers | undefined, sentMs: number): Headers => ({
  ...originalHeaders(headers),
  [redriven.cycle]: String(readCycle(headers) + 1),
  // The record itself is dated anew: retention goes by that, and so does the age of what waits.
  [redriven.sentMs]: String(readSentMs(headers) ?? sentMs),
})

/** Kafka allows null as a header's value, and kafkajs reads it but throws a TypeError when it writes it. */
const encodable = (value: Headers[string] | null) =>
  Array.isArray(value) ? value.map((one) => one ?? '') : (value ?? '')

const truncate = (message: string) =>
  Buffer.from(message)
    .subarray(0, MAX_MESSAGE_BYTES)
    .toString()
    .replace(/\uFFFD$/, '')
