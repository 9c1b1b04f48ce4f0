/** What the offline embeddings server can play, so that the real client is tested against it over a real socket. */
import { createCapacity, createLatency, createRate, preciseNow } from './embeddings-load.ts'
import type { CapacityRule, RateRule } from './embeddings-load.ts'

/** Played once (or `times` times), in the order given, one a request. */
export type Fault = { readonly times?: number } & (
  | { readonly kind: 'status'; readonly status: number; readonly retryAfter?: string; readonly code?: string }
  /** Never answers. */
  | { readonly kind: 'hang' }
  /** Closes the socket without an answer. */
  | { readonly kind: 'cut' }
  /** Spoils an answer: the last vector missing, order reversed, floats whatever was asked, one dimension short, … */
  | { readonly kind: 'partial' | 'reordered' | 'floats' | 'dimensions' | 'nan' | 'zeros' }
)

export interface Faults {
  readonly next?: readonly Fault[]
  /** Standing rules. A request with an input that contains this text: 400. */
  readonly rejectText?: string
  /** More inputs or tokens than this in a request: 400. */
  readonly maxInputs?: number
  readonly maxTokens?: number
  /** More requests at a time than this: 429. */
  readonly maxInFlight?: number
  /** Every answer that is not refused at the door takes this long; a pair: uniform between the two, by a fixed seed. */
  readonly latencyMs?: number | readonly [number, number]
  /** At the door: beyond it 429 with `retry-after` and `retry-after-ms`; every answer gets `x-ratelimit-*`. */
  readonly rate?: RateRule
  /** At the door: every request gets this status, until then (epoch milliseconds) or until other faults are set. */
  readonly refuse?: {
    readonly status: number
    /** Seconds or an HTTP date, as it goes into the header; left out: no header. */
    readonly retryAfter?: string
    readonly code?: string
    readonly untilMs?: number
  }
  /** Only so many are served at once, the others wait in line. */
  readonly capacity?: CapacityRule
}

export interface Refusal {
  readonly status: number
  readonly message: string
  readonly code?: string
  readonly param?: string
  readonly retryAfter?: string
  readonly retryAfterMs?: number
}

export function createFaultPlayer(initial: Faults = {}) {
  let { rules, queue, latency, rate, serve } = prepare(initial)
  return {
    /** Replaces all rules; buckets and lines start empty. */
    set: (faults: Faults) => {
      ;({ rules, queue, latency, rate, serve } = prepare(faults))
    },
    latencyMs: () => latency(),
    /** Resolves when one of the servers is done with it. */
    serve: async () => serve?.(),
    headers: () => rate?.headers() ?? {},
    next: () => queue.shift(),
    /** What the request hears before anything is looked at: the outage, or the rate that it exceeds. */
    atTheDoor: (tokens: number): Refusal | undefined => {
      const { refuse } = rules
      if (refuse && preciseNow() < (refuse.untilMs ?? Infinity))
        return { ...refuse, message: `Refused with ${refuse.status}` }
      const waitMs = rate?.take(tokens) ?? 0
      if (waitMs === 0) return undefined
      const retry = { retryAfter: String(Math.ceil(waitMs / 1000)), retryAfterMs: Math.ceil(waitMs) }
      return { status: 429, message: 'Rate limit reached', code: 'rate_limit_exceeded', ...retry }
    },
    /** The standing rule that a request breaks. */
    refusal: (inputs: readonly string[], tokens: number, inFlight: number): Refusal | undefined => {
      const { rejectText, maxInputs, maxTokens, maxInFlight } = rules
      if (maxInFlight !== undefined && inFlight > maxInFlight)
        return { status: 429, message: 'Too many requests', code: 'rate_limit_exceeded' }
      if (rejectText !== undefined && inputs.some((input) => input.includes(rejectText)))
        return { status: 400, message: 'An input is not acceptable', param: 'input' }
      if (maxInputs !== undefined && inputs.length > maxInputs)
        return { status: 400, message: `Too many inputs: ${inputs.length}`, param: 'input' }
      if (maxTokens !== undefined && tokens > maxTokens)
        return { status: 400, message: `Too many tokens: ${tokens}`, code: 'max_tokens_per_request' }
      return undefined
    },
  }
}

const prepare = (rules: Faults) => ({
  rules,
  queue: expand(rules),
  latency: createLatency(rules.latencyMs),
  rate: rules.rate && createRate(rules.rate),
  serve: rules.capacity && createCapacity(rules.capacity),
})

const expand = ({ next = [] }: Faults): Fault[] =>
  next.flatMap((fault) => Array.from({ length: Math.min(fault.times ?? 1, 100_000) }, () => fault))

export interface Vector {
  readonly index: number
  readonly embedding: Float32Array
}

/** Answers with vectors of the wrong kind, number or size. */
export function spoil(vectors: readonly Vector[], fault: Fault | undefined): Vector[] {
  switch (fault?.kind) {
    case 'partial':
      return vectors.slice(0, -1)
    case 'reordered':
      return vectors.toReversed()
    case 'dimensions':
      return vectors.map(({ index, embedding }) => ({ index, embedding: embedding.slice(1) }))
    case 'nan':
      return vectors.map(({ index, embedding }) => ({ index, embedding: embedding.with(0, NaN) }))
    case 'zeros':
      return vectors.map(({ index, embedding }) => ({ index, embedding: new Float32Array(embedding.length) }))
    default:
      return [...vectors]
  }
}
