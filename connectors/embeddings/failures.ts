/** What a failed request means: everybody waits, this batch is halved, or the request was ours to abort. */
import { APIConnectionError, APIConnectionTimeoutError, APIError, APIUserAbortError } from 'openai'
import { DependencyUnavailable, errorMessage } from '../../streams/errors.ts'
import { exhaustedFor, readAllowances } from './rate-headers.ts'

/** Nobody is served now: away, overloaded, out of quota, or set up wrongly. */
export interface Unavailable {
  readonly kind: 'unavailable'
  readonly error: DependencyUnavailable
  readonly cause: 'throttled' | 'timeout' | 'cut' | 'away' | 'closed'
  /** Out of quota or set up wrongly: only a person can help. */
  readonly fatal: boolean
  /** HTTP's; 'cut': no answer. */
  readonly status: number | 'cut'
}

export type Failure =
  | Unavailable
  /** Something in this batch is not taken: too much of it, or one input. */
  | { readonly kind: 'rejected'; readonly message: string; readonly status: number }

export function classifyFailure(error: unknown, nowMs: number): Failure {
  if (error instanceof DependencyUnavailable)
    return { kind: 'unavailable', error, cause: 'away', fatal: false, status: 200 }
  if (error instanceof APIConnectionTimeoutError) return noAnswer('timeout', 'the request timed out', error)
  if (error instanceof APIUserAbortError) return noAnswer('closed', 'the connector was closed', error)
  if (error instanceof APIConnectionError) {
    const root = rootOf(error)
    return noAnswer(wasCut(root) ? 'cut' : 'away', errorMessage(root), error)
  }
  if (!(error instanceof APIError) || error.status === undefined) return noAnswer('away', errorMessage(error), error)
  return classifyAnswer(error as APIError<number, Headers, object>, nowMs)
}

/** "fetch failed" and the like say nothing; the socket's own error, two causes down, does. */
const rootOf = (error: Error): Error => (error.cause instanceof Error ? rootOf(error.cause) : error)

const CUT = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'])
const wasCut = (error: Error & { code?: unknown }) => CUT.has(String(error.code))

function classifyAnswer(error: APIError<number, Headers, object>, nowMs: number): Failure {
  const { status } = error
  if (isAboutTheInput(error)) return { kind: 'rejected', message: error.message, status }
  const fatal = isFatal(error)
  const retryAfterMs =
    readRetryAfter(error.headers, nowMs) ?? (status === 429 ? exhaustedFor(readAllowances(error.headers)) : undefined)
  return {
    kind: 'unavailable',
    error: unavailable(error.message, error, retryAfterMs),
    cause: status === 429 && !fatal ? 'throttled' : 'away',
    fatal,
    status,
  }
}

/**
 * 400 and 422 name what is wrong in `param` where they can: another one than `input` (`model`, `dimensions`, …) is
 * the configuration's fault, and every page would go to the dead letters for it.
 */
function isAboutTheInput({ status, param }: APIError): boolean {
  if (status === 413) return true
  return (status === 400 || status === 422) && (!param || param.startsWith('input'))
}

/** Key, model or address are wrong, or the account is empty, which comes as a 429 that no waiting heals. */
function isFatal({ status, code, type }: APIError<number>): boolean {
  return [400, 401, 403, 404, 422].includes(status) || code === 'insufficient_quota' || type === 'insufficient_quota'
}

const noAnswer = (cause: Unavailable['cause'], message: string, error: unknown): Unavailable => ({
  kind: 'unavailable',
  error: unavailable(message, error),
  cause,
  fatal: false,
  status: 'cut',
})

function unavailable(message: string, cause: unknown, retryAfterMs?: number): DependencyUnavailable {
  const wait = retryAfterMs === undefined ? {} : { retryAfterMs }
  return new DependencyUnavailable('embeddings', `embeddings: ${message}`, { ...wait, cause })
}

/** Milliseconds from now; seconds or an HTTP date of any length. undefined: not said or not readable. */
export function readRetryAfter(headers: Headers | undefined, nowMs: number): number | undefined {
  const milliseconds = Number.parseFloat(headers?.get('retry-after-ms') ?? '')
  if (milliseconds >= 0) return milliseconds
  const value = headers?.get('retry-after')?.trim()
  if (!value) return undefined
  if (/^\d+(\.\d+)?$/.test(value)) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs)
}
