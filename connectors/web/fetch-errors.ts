/** Errors of a fetch. Tenants see code and message, so neither may tell what a name resolved to. */
import { errors } from 'undici'
import { StageError } from '../../streams/errors.ts'

export const refused = (message: string) => new StageError('fetch_refused', message)
export const timedOut = () => new StageError('fetch_timeout', 'the server took too long', { retriable: true })
export const tooLarge = () => new StageError('fetch_too_large', 'the body is larger than allowed')
export const aborted = () => new StageError('fetch_aborted', 'the fetch was stopped', { retriable: true })

const TIMEOUTS = new Set(['UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'ETIMEDOUT'])

/** Maps whatever undici, TLS, DNS or zlib threw. The cause keeps its code only: its text may hold an address. */
export function fetchError(error: unknown): StageError {
  const own = stageErrorIn(error)
  if (own) return own
  const code = (error as { code?: unknown } | null)?.code
  if (typeof code === 'string' && TIMEOUTS.has(code)) return timedOut()
  const retriable = !(error instanceof errors.HeadersOverflowError)
  return new StageError('fetch_failed', 'the server could not be reached or broke off', {
    retriable,
    cause: typeof code === 'string' ? code : undefined,
  })
}

/** A refusal made inside the connector comes back wrapped (`cause`, AggregateError) or as it is. */
function stageErrorIn(error: unknown, depth = 0): StageError | undefined {
  if (error instanceof StageError) return error
  if (depth > 3 || !(error instanceof Error)) return undefined
  return stageErrorIn(error.cause, depth + 1)
}
