/** What the crawler's logic needs from outside, as types: `connectors/` implements them, tests fake them. */
import type { OutgoingRecord } from '../outcome.ts'
import type { TraceHeaders } from '../trace.ts'

/** Header names are lower case; a header sent several times is an array, so that X-Robots-Tag lines stay apart. */
export type ResponseHeaders = Readonly<Record<string, string | string[] | undefined>>

export interface FetchOptions {
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
  /** Most DECODED bytes of the body. */
  readonly maxBytes?: number
  /** What to do with a longer body: fail with `fetch_too_large` (default), or return its first `maxBytes`. */
  readonly overflow?: 'refuse' | 'truncate'
  /** Asked before every hop after the first, with the target; false returns the redirect itself as the response. */
  readonly followRedirect?: (target: string) => boolean | Promise<boolean>
  /** Asked once headers are in; false skips the body (downloads, error pages). */
  readonly wantBody?: (status: number, headers: ResponseHeaders) => boolean
}

export interface FetchResponse {
  readonly status: number
  /** The address that answered, after redirects. */
  readonly url: string
  readonly headers: ResponseHeaders
  /** Content codings removed, charset untouched. */
  readonly body: Buffer
}

/**
 * The only way to the network.
 * @throws StageError `fetch_refused` | `fetch_timeout` | `fetch_too_large` | `fetch_too_many_redirects` |
 * `fetch_aborted` | `fetch_failed`; no message names an address that a name resolved to.
 */
export type GuardedFetch = (url: string, options?: FetchOptions) => Promise<FetchResponse>

export interface RobotsVerdict {
  readonly allowed: boolean
  /** The host's Crawl-delay for our agent, 0 if none. */
  readonly crawlDelayMs: number
  /** Set when robots.txt could not be had, so that nothing is allowed for now: ask again after this long. */
  readonly retryAfterMs?: number
}

export interface Robots {
  readonly check: (url: string, signal?: AbortSignal) => Promise<RobotsVerdict>
}

/** What is remembered of a host, across tenants. */
export interface HostState {
  /** Pause between two fetches, as learned from latencies. */
  readonly delayMs: number
  /** Current length of the back-off after 429/503; 0: none. */
  readonly backoffMs: number
  /** When the back-off was last raised, ms since the epoch; 0: never. */
  readonly backoffAtMs: number
}

/** What is remembered of a page between crawls. */
export interface PageState {
  readonly etag: string
  readonly lastModified: string
  /** SHA-256 hex of the body as published; empty: unknown or gone. */
  readonly bodyHash: string
  readonly version: bigint
  /** Links found on it: a 304 has no body to find them in. */
  readonly links: readonly string[]
}

/** One URL of the frontier, leased to one worker until the lease runs out. */
export interface LeasedUrl {
  readonly tenantId: string
  readonly crawlId: string
  readonly url: string
  readonly depth: number
  readonly maxDepth: number
  readonly chunkType: string
  /** 1 at the first fetch; also fences: a worker whose lease ran out finds another number in the row. */
  readonly attempts: number
  readonly owner: string
  readonly host: string
  readonly hostState: HostState
  /** Last version published; 0n: never. */
  readonly version: bigint
  /** For a conditional request; undefined: never fetched, or as another kind of knowledge. */
  readonly previous: Omit<PageState, 'version' | 'links'> | undefined
  /** The trace of the request that the crawl began with. */
  readonly trace?: TraceHeaders
}

interface Settled {
  /** A small fixed set: metric label and the row's last error. */
  readonly reason: string
  readonly host: HostState
  /** The host rests for this long from now. */
  readonly hostDelayMs: number
}

export type PageResult =
  | (Settled & {
      readonly outcome: 'fetched' | 'gone'
      readonly records: readonly OutgoingRecord[]
      readonly page: PageState
    })
  /** `links: undefined`: those remembered still hold. */
  | (Settled & { readonly outcome: 'unchanged'; readonly links: readonly string[] | undefined })
  | (Settled & { readonly outcome: 'skipped' | 'failed' })
  | (Settled & { readonly outcome: 'retry'; readonly delayMs: number })

export interface LeaseBatch {
  readonly leases: readonly LeasedUrl[]
  /** Milliseconds until some host may be fetched from again; undefined: nothing is waiting. */
  readonly nextInMs: number | undefined
}

export interface Frontier {
  /** `except`: tenants whose pages stay where they are. */
  readonly lease: (request: {
    owner: string
    limit: number
    leaseMs: number
    except?: readonly string[]
  }) => Promise<LeaseBatch>
  /** One transaction: row, found links under quota, counters, page and host state. False: the lease was lost. */
  readonly complete: (lease: LeasedUrl, result: Exclude<PageResult, { outcome: 'retry' }>) => Promise<boolean>
  readonly retryLater: (lease: LeasedUrl, result: Extract<PageResult, { outcome: 'retry' }>) => Promise<boolean>
  /** Gives a lease back untried: the attempt is not counted. */
  readonly release: (lease: LeasedUrl, delayMs: number) => Promise<boolean>
}

export interface Clock {
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Resolves after `ms` or as soon as the signal is aborted; never rejects. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
}

export interface Logger {
  readonly info: (fields: object, message: string) => void
  readonly warn: (fields: object, message: string) => void
}
