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
  const foreign = Object.fromEntries(
    Object.entries(original ?? {})
      .filter(([name]) => !ours.has(name))
      .map(([name, value]) => [name, encodable(value)]),
  )
  return {
    ...foreign,
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

/** Kafka allows null as a header's value, and kafkajs reads it but throws a TypeError when it writes it. */
const encodable = (value: Headers[string] | null) =>
  Array.isArray(value) ? value.map((one) => one ?? '') : (value ?? '')

const truncate = (message: string) =>
  Buffer.from(message)
    .subarray(0, MAX_MESSAGE_BYTES)
    .toString()
    .replace(/\uFFFD$/, '')
