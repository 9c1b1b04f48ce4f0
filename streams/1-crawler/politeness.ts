/** How long a host is left alone: a pause that follows its latency, and a back-off when it says that it has enough. */
import type { HostState } from './ports.ts'

/** A slow answer may be one slow page; beyond this the host would never be done. */
const MAX_DELAY_MS = 60_000
/** A host that asks for more is deferred by this much. */
const MAX_CRAWL_DELAY_MS = 3_600_000
const BACKOFF_MIN_MS = 60_000
const BACKOFF_MAX_MS = 24 * 3_600_000
const BACKOFF_FORGIVEN_MS = 30 * 60_000

export interface Answer {
  readonly latencyMs: number
  readonly ok: boolean
  readonly crawlDelayMs: number
  readonly floorMs: number
}

/**
 * One connection a host, so the pause that keeps it half idle is its latency: the pause moves there by halves when the
 * host gets faster, at once when it gets slower. Errors answer fast, so they may never shorten it. A floor of 0 marks the
 * operator's own host: nothing is learned there, only its Crawl-delay holds.
 */
export function nextDelayMs(state: HostState, answer: Answer): number {
  if (answer.floorMs === 0) return Math.min(answer.crawlDelayMs, MAX_CRAWL_DELAY_MS)
  const target = Math.max(answer.latencyMs, (state.delayMs + answer.latencyMs) / 2)
  const learned = Math.min(MAX_DELAY_MS, answer.ok ? target : Math.max(state.delayMs, target))
  return Math.max(answer.floorMs, Math.min(answer.crawlDelayMs, MAX_CRAWL_DELAY_MS), learned)
}

/** After 429 or 503: a minute, doubling to a day, and a tenth of it at random so that hosts do not come back at once. */
export function raiseBackoff(state: HostState, nowMs: number, retryAfterMs: number, random: () => number): HostState {
  const quietMs = nowMs - (state.backoffAtMs + state.backoffMs)
  const forgiven = state.backoffMs === 0 || quietMs >= BACKOFF_FORGIVEN_MS
  const doubled = forgiven ? BACKOFF_MIN_MS : state.backoffMs * 2
  const wanted = Math.min(BACKOFF_MAX_MS, Math.max(doubled, retryAfterMs))
  return { ...state, backoffMs: Math.round(wanted * (1 + 0.1 * random())), backoffAtMs: nowMs }
}

/** `Retry-After`: seconds or an HTTP date; 0 if absent or unreadable. */
export function retryAfterMs(header: string | undefined, nowMs: number): number {
  if (header === undefined) return 0
  const ms = /^\s*\d+\s*$/.test(header) ? Number(header) * 1000 : Date.parse(header) - nowMs
  return Number.isFinite(ms) ? Math.max(0, ms) : 0
}
