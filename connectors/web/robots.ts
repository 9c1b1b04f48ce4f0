/** robots.txt of every host, fetched once, kept for a while. */
import type { Clock, FetchResponse, GuardedFetch, Robots, RobotsVerdict } from '../../streams/1-crawler/ports.ts'
import { MAX_ROBOTS_BYTES, parseRobots, type RobotsRules } from './robots-rules.ts'

export interface RobotsOptions {
  readonly fetch: GuardedFetch
  readonly clock: Pick<Clock, 'now'>
  readonly userAgent: string
  /** RFC 9309 2.4: not longer than a day. */
  readonly ttlMs?: number
  /** After a 5xx, 429 or a network error, which forbid everything: soon enough that a short outage costs little. */
  readonly failureTtlMs?: number
  readonly maxHosts?: number
}

type Policy = { readonly rules: RobotsRules } | 'allow' | 'unreachable'

interface Entry {
  readonly policy: Promise<Policy>
  expiresAtMs: number
}

export function createRobots(options: RobotsOptions): Robots {
  const { fetch, clock, userAgent, ttlMs = 24 * 3_600_000, failureTtlMs = 60_000, maxHosts = 10_000 } = options
  const cache = new Map<string, Entry>()

  /** Concurrent callers share one fetch: it is not tied to any caller's signal, its own deadline ends it. */
  function entryFor(origin: string): Entry {
    const cached = cache.get(origin)
    if (cached && clock.now() < cached.expiresAtMs) return cached
    const entry: Entry = { policy: load(origin), expiresAtMs: Infinity }
    void entry.policy.then((policy) => {
      entry.expiresAtMs = clock.now() + (policy === 'unreachable' ? failureTtlMs : ttlMs)
    })
    cache.delete(origin)
    cache.set(origin, entry)
    if (cache.size > maxHosts) cache.delete(cache.keys().next().value!)
    return entry
  }

  const load = (origin: string) =>
    fetch(`${origin}/robots.txt`, { maxBytes: MAX_ROBOTS_BYTES + 1, overflow: 'truncate' }).then(
      (response) => policyOf(response, userAgent),
      () => 'unreachable' as const,
    )

  async function check(url: string, signal?: AbortSignal): Promise<RobotsVerdict> {
    const parsed = new URL(url)
    if (parsed.pathname === '/robots.txt') return { allowed: true, crawlDelayMs: 0 }
    const entry = entryFor(parsed.origin)
    const policy = await unlessAborted(entry.policy, signal)
    if (policy === 'allow') return { allowed: true, crawlDelayMs: 0 }
    if (policy === 'unreachable')
      return { allowed: false, crawlDelayMs: 0, retryAfterMs: Math.max(0, entry.expiresAtMs - clock.now()) }
    return { allowed: policy.rules.allowed(url), crawlDelayMs: policy.rules.crawlDelayMs ?? 0 }
  }

  return { check }
}

/** RFC 9309 2.3.1: 4xx means that there are no rules; a server that is in trouble (5xx, 429) must be left alone. */
function policyOf({ status, body }: FetchResponse, userAgent: string): Policy {
  if (status >= 200 && status < 300) return { rules: parseRobots(body.toString('utf8'), userAgent) }
  return status >= 400 && status < 500 && status !== 429 ? 'allow' : 'unreachable'
}

/** Leaves the wait, not the work: others may be waiting for the same answer. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise
  signal.throwIfAborted()
  const { promise: stopped, reject } = Promise.withResolvers<never>()
  const stop = () => reject(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  return Promise.race([promise, stopped]).finally(() => signal.removeEventListener('abort', stop))
}
