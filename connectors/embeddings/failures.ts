/** What a failed request means: everybody waits, this batch is halved, or the request was ours to abort. */
import { APIConnectionError, APIConnectionTimeoutError, APIError, APIUserAbortError } from 'openai'
import { DependencyUnavailable, errorMessage } from '../../streams/errors.ts'

export type Failure =
  /** Nobody is served now: away, overloaded, out of quota, or set up wrongly. */
  | { readonly kind: 'unavailable'; readonly error: DependencyUnavailable; readonly throttled: boolean }
  /** Something in this batch is not taken: too much of it, or one input. */
  | { readonly kind: 'rejected'; readonly message: string }

export function classifyFailure(error: unknown, nowMs: number): Failure {
  if (error instanceof DependencyUnavailable) return { kind: 'unavailable', error, throttled: false }
  if (error instanceof APIConnectionTimeoutError) return unavailable('the request timed out', error)
  if (error instanceof APIUserAbortError) return unavailable('the connector was closed', error)
  if (error instanceof APIConnectionError) return unavailable(errorMessage(rootOf(error)), error)
  if (!(error instanceof APIError) || error.status === undefined) return unavailable(errorMessage(error), error)
  return classifyAnswer(error as APIError<number, Headers, object>, nowMs)
}

/** "fetch failed" and the like say nothing; the socket's own error, two causes down, does. */
const rootOf = (error: Error): Error => (error.cause instanceof Error ? rootOf(error.cause) : error)

function classifyAnswer(error: APIError<number, Headers, object>, nowMs: number): Failure {
  if (isAboutTheInput(error)) return { kind: 'rejected', message: error.message }
  const retryAfterMs = readRetryAfter(error.headers, nowMs)
  return unavailable(error.message, error, retryAfterMs, error.status === 429)
}

/**
 * 400 and 422 name what is wrong in `param` where they can: another one than `input` (`model`, `dimensions`, …) is
 * the configuration's fault, and every page would go to the dead letters for it.
 */
function isAboutTheInput({ status, param }: APIError): boolean {
  if (status === 413) return true
  return (status === 400 || status === 422) && (!param || param.startsWith('input'))
}

function unavailable(message: string, cause: unknown, retryAfterMs?: number, throttled = false): Failure {
  const wait = retryAfterMs === undefined ? {} : { retryAfterMs }
  return {
    kind: 'unavailable',
    error: new DependencyUnavailable('embeddings', `embeddings: ${message}`, { ...wait, cause }),
    throttled,
  }
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
