/** One leased URL: robots.txt, then a conditional fetch, then what is to be published and remembered. */
import { errorMessage, StageError } from '../errors.ts'
import { readAnswer } from './page-answer.ts'
import { nextDelayMs, raiseBackoff, retryAfterMs } from './politeness.ts'
import type { Clock, FetchResponse, GuardedFetch, HostState, LeasedUrl, PageResult, Robots } from './ports.ts'
import { header, isPageType } from './response.ts'
import { sameSite } from './url.ts'

export interface PageFetcherOptions {
  readonly fetch: GuardedFetch
  readonly robots: Robots
  readonly clock: Pick<Clock, 'now'>
  /** Ours in robots' meta tags and headers: the User-Agent's product token. */
  readonly agent: string
  readonly maxBytes: number
  /** Least pause between two fetches from a host; 0 for hosts that are allowed by name. */
  readonly floorMs: (host: string) => number
  /** Waits before attempts 2, 3, …; a page that fails once more is given up. */
  readonly retryDelaysMs: readonly number[]
  readonly random?: () => number
}

export type FetchPage = (lease: LeasedUrl, signal: AbortSignal) => Promise<PageResult>

const HTML = 'text/html,application/xhtml+xml;q=0.9,text/markdown;q=0.8,text/plain;q=0.7,*/*;q=0.1'
const BUSY = new Set([429, 503])

/** Throws only when the signal is aborted: every other failure is a result. */
export function createPageFetcher(options: PageFetcherOptions): FetchPage {
  const { fetch, robots, clock, agent, maxBytes, floorMs, retryDelaysMs, random = Math.random } = options

  /** The next try, or the end of trying. */
  function again(lease: LeasedUrl, reason: string, host: HostState, atLeastMs = 0): PageResult {
    const settled = { reason, host, hostDelayMs: Math.max(floorMs(lease.host), host.delayMs) }
    const delayMs = retryDelaysMs[lease.attempts - 1]
    if (delayMs === undefined) return { outcome: 'failed', ...settled }
    return { outcome: 'retry', ...settled, delayMs: Math.max(delayMs, atLeastMs) }
  }

  function busy(lease: LeasedUrl, { status, headers }: FetchResponse): PageResult {
    const now = clock.now()
    const host = raiseBackoff(
      lease.hostState,
      now,
      retryAfterMs(header(headers, 'retry-after') || undefined, now),
      random,
    )
    return { ...again(lease, `http_${status}`, host, host.backoffMs), hostDelayMs: host.backoffMs }
  }

  function failure(lease: LeasedUrl, error: unknown): PageResult {
    const known =
      error instanceof StageError ? error : new StageError('fetch_failed', errorMessage(error), { retriable: true })
    const settled = { reason: known.code, host: lease.hostState, hostDelayMs: floorMs(lease.host) }
    if (known.retriable) return again(lease, known.code, lease.hostState)
    return { outcome: known.code === 'fetch_too_large' ? 'skipped' : 'failed', ...settled }
  }

  async function get(lease: LeasedUrl, signal: AbortSignal) {
    let followed = true
    const startedMs = clock.now()
    const response = await fetch(lease.url, {
      signal,
      maxBytes,
      headers: { accept: HTML, ...conditions(lease) },
      wantBody: (status, headers) => status === 200 && isPageType(header(headers, 'content-type')),
      // The target has rules of its own. Another site is followed from a start URL only: its owner sent the tenant there.
      followRedirect: async (target) =>
        (followed = (lease.depth === 0 || sameSite(target, lease.url)) && (await robots.check(target, signal)).allowed),
    })
    return { response, followed, latencyMs: clock.now() - startedMs }
  }

  return async (lease, signal) => {
    const host = lease.hostState
    const rest = (reason: string): PageResult => ({ outcome: 'skipped', reason, host, hostDelayMs: 0 })
    try {
      const verdict = await robots.check(lease.url, signal)
      if (verdict.retryAfterMs !== undefined) return again(lease, 'robots_unreachable', host, verdict.retryAfterMs)
      if (!verdict.allowed) return rest('robots')

      const { response, followed, latencyMs } = await get(lease, signal)
      if (BUSY.has(response.status)) return busy(lease, response)
      const answer = {
        latencyMs,
        ok: response.status === 200,
        crawlDelayMs: verdict.crawlDelayMs,
        floorMs: floorMs(lease.host),
      }
      const delayMs = nextDelayMs(host, answer)
      const settled = { host: { ...host, delayMs }, hostDelayMs: delayMs }
      if (!followed) return { outcome: 'skipped', reason: 'redirect', ...settled }
      if (response.status >= 500 || response.status === 408)
        return again(lease, `http_${response.status}`, settled.host)
      return { ...settled, ...readAnswer(lease, response, { agent, nowMs: clock.now() }) }
    } catch (error) {
      if (signal.aborted) throw error
      return failure(lease, error)
    }
  }
}

/** An answer of 304 costs no body; a page known as another kind of knowledge is fetched whole. */
function conditions({ previous }: LeasedUrl): Record<string, string> {
  if (!previous?.bodyHash) return {}
  return {
    ...(previous.etag && { 'if-none-match': previous.etag }),
    ...(previous.lastModified && { 'if-modified-since': previous.lastModified }),
  }
}
