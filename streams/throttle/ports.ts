/**
 * What the parts of the throttle are to each other. A BUDGET is a total over the fleet of which this process may use a
 * part; a GATE stands before a stage or a dependency and lets work pass within its budgets; an ADAPTIVE LIMIT finds how
 * many requests at once a dependency takes. Nothing queues below a gate.
 */

/** Replay only takes what live leaves, with a floor so that it ends. */
export type Lane = 'live' | 'replay'

/** What a budget's user tells it, so that capacity follows demand over the fleet. */
export interface Demand {
  /** In the budget's unit (per second, or slots); Infinity: whatever there is, because something waits. */
  readonly want: () => number
  /** Slots in use now; 0 for a rate. */
  readonly inUse: () => number
  /** Tenants with live work here (replay counts nothing): instances share in proportion to it. */
  readonly weight: () => number
}

export interface Budget {
  readonly name: string
  /** rate: per second. slots: whole requests in flight. */
  readonly kind: 'rate' | 'slots'
  /** The total over all instances; null: none is set. */
  readonly total: () => number | null
  /** This process' part at this moment; Infinity when no total is set. It may fall and rise at any time. */
  readonly allowed: () => number
  /** Work waits that this part does not cover: more is asked for now, not at the next renewal. Cheap to call often. */
  readonly hungry: () => void
  readonly attach: (demand: Demand) => void
  /** Calls when `allowed` may have changed. @returns the cancellation. */
  readonly onChange: (call: () => void) => () => void
}

export interface Ask {
  readonly tenantId: string
  readonly lane: Lane
  /** What fairness between tenants is counted in: embedding tokens, or an estimate of them (bytes / 4). */
  readonly cost: number
  /** What it takes of each rate, by the budget's name; a rate that is not named is not touched. */
  readonly takes?: Readonly<Record<string, number>>
}

export type FeedbackKind =
  | 'ok'
  /** 429: too much. */
  | 'throttled'
  | 'timeout'
  /** Away or broken: 5xx, connection refused. */
  | 'unavailable'
  /** The dependency worked and did not like this request. */
  | 'rejected'
  /** Never sent: what it took of the rates is given back. */
  | 'unsent'

export interface Feedback {
  readonly kind: FeedbackKind
  readonly latencyMs: number
  /** Requests of like work, so that latencies compare (a read, a write of up to 2^n rows). */
  readonly class?: string
  /** The dependency's own word on when to come back. */
  readonly retryAfterMs?: number
}

/** To be called once, when the work is over. */
export type Release = (feedback?: Feedback) => void

/** Why work waited at a gate. */
export type WaitReason = 'rate' | 'tenant' | 'slots' | 'adaptive' | 'cooldown'

export interface GateFigures {
  readonly inFlight: number
  /** What limits it now: the least of budget, adaptive limit and local bound; null: nothing does. */
  readonly limit: number | null
  readonly waiting: number
  /** With live work here, waiting or in flight; one that is only replayed does not count. */
  readonly tenants: number
  /** What holds the first in line up now; null: nobody waits. */
  readonly heldBy: WaitReason | null
  /** Milliseconds that the first in line has waited, by what held it up; sums since the start. */
  readonly waitedMs: Readonly<Record<WaitReason, number>>
  readonly oldestWaitMs: number
}

export interface Gate {
  /** At once, or not at all: nothing is queued by it. Never passes by others who wait. */
  readonly tryAcquire: (ask: Ask) => Release | undefined
  /** @throws the signal's reason when aborted while waiting; what `shut` was given while shut. */
  readonly acquire: (ask: Ask, signal?: AbortSignal) => Promise<Release>
  /** About how long such an ask would wait now, milliseconds; 0: it would pass. */
  readonly waitMs: (ask: Ask) => { readonly ms: number; readonly reason: WaitReason | null }
  /** Nothing leaves for this long (a longer hold wins); afterwards the adaptive limit starts slowly again. */
  readonly cooldown: (forMs: number) => void
  /** Open circuit: all who wait and all who come are refused with this error; null opens again, slowly. */
  readonly shut: (error: (() => Error) | null) => void
  /** Half-open circuit: one request at a time. */
  readonly probing: (one: boolean) => void
  readonly figures: () => GateFigures
  readonly close: () => void
}

/** How many requests at once one dependency takes, found from its answers. */
export interface AdaptiveLimit {
  /** At least 1. */
  readonly limit: () => number
  /** `inFlight`: how many were under way when it left, itself included. */
  readonly sample: (feedback: Feedback, inFlight: number) => void
  /** After a cooldown or an outage: from 1, doubling per round trip up to half of what held before. */
  readonly restart: () => void
}

export interface TenantLimits {
  /** Totals per second of one tenant, by the budget's name; undefined: no limit of its own. */
  readonly ratesOf: (tenantId: string) => Readonly<Record<string, number>> | undefined
}
