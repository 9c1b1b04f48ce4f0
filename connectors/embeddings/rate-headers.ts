/** `x-ratelimit-*` as OpenAI and its imitators send it: what one may take, what is left, when all of it is back. */

interface Allowance {
  readonly limit: number | undefined
  readonly remaining: number | undefined
  readonly resetMs: number | undefined
}

export interface Allowances {
  readonly requests: Allowance
  readonly tokens: Allowance
}

/** Longer resets are a day's or a month's: nobody is to be held in place for these. */
const MAX_HOLD_MS = 60_000
const MINUTE_MS = 60_000

const UNITS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const

export function readAllowances(headers: Headers): Allowances {
  const read = (unit: 'requests' | 'tokens'): Allowance => {
    const header = (what: string) => headers.get(`x-ratelimit-${what}-${unit}`)?.trim()
    return {
      limit: readCount(header('limit')),
      remaining: readCount(header('remaining')),
      resetMs: readDuration(header('reset')),
    }
  }
  return { requests: read('requests'), tokens: read('tokens') }
}

const readCount = (value: string | undefined) => (value && /^\d+$/.test(value) ? Number(value) : undefined)

/** `1s`, `6m0s`, `20ms`, `1h2m3.5s`, or plain seconds; undefined: nothing of these. */
export function readDuration(value: string | undefined): number | undefined {
  if (!value) return undefined
  if (/^\d+(?:\.\d+)?$/.test(value)) return Number(value) * 1000
  if (!/^(?:\d+(?:\.\d+)?(?:ms|[dhms]))+$/.test(value)) return undefined
  return [...value.matchAll(/(\d+(?:\.\d+)?)(ms|[dhms])/gy)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * UNITS[unit as keyof typeof UNITS],
    0,
  )
}

/**
 * How long to hold back so that the next request, of so many tokens, is not refused. `reset` is when ALL is back, a
 * minute for an emptied bucket; to wait for it would be a minute of nothing and then a burst. The bucket fills evenly,
 * so what is missing is there sooner: after its part of the reset, and not before its part of a minute (a limit that is
 * enforced over seconds resets in seconds). Servers with fixed windows refuse once and say then when theirs begins.
 */
export function holdBefore(nextTokens: number, { requests, tokens }: Allowances): number {
  return Math.max(missing(requests, 1), missing(tokens, Math.max(1, nextTokens)))
}

function missing({ limit, remaining, resetMs }: Allowance, needed: number): number {
  if (remaining === undefined || remaining >= needed || resetMs === undefined) return 0
  if (limit === undefined || limit <= remaining) return resetMs <= MAX_HOLD_MS ? resetMs : 0
  const short = Math.min(needed, limit) - remaining
  const holdMs = Math.min(resetMs, Math.max((short * MINUTE_MS) / limit, (short * resetMs) / (limit - remaining)))
  return holdMs <= MAX_HOLD_MS ? holdMs : 0
}

/** When a limit that has nothing left is back: what a 429 means that does not say it by Retry-After. */
export function exhaustedFor({ requests, tokens }: Allowances): number | undefined {
  const resets = [requests, tokens].flatMap(({ remaining, resetMs }) =>
    remaining === 0 && resetMs !== undefined && resetMs <= MAX_HOLD_MS ? [resetMs] : [],
  )
  return resets.length > 0 ? Math.max(...resets) : undefined
}
