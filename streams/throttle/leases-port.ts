/** What the leases need of the table that all processes share, and the times that hold between them. */

/**
 * `silent` processes, those that cannot renew, fall back to a floor, so others must have left it alone by then. Hence
 * silentMs: contact lasts graceMs, it vouches for partitions owned up to lingerMs before, and a lease given at its very
 * end lasts ttlMs. An assignment of a killed member's partitions within graceMs costs the others nothing.
 */
export const leaseTimings = {
  /** By the database's clock. The lease of a killed process is free again after it. */
  ttlMs: 4_000,
  /** The holder stops this much earlier by its own clock: clocks that run apart, and work of its last moment. */
  marginMs: 500,
  renewMs: 1_000,
  /** Of a process that holds more than an even part: what others wait for it to give back, they wait half as long. */
  lentMs: 500,
  /** ±: processes that started together do not renew together for ever. */
  jitter: 0.1,
  /** Between two renewals that do not wait for their turn. */
  urgentGapMs: 100,
  /** Between two looks while others still have to give back. */
  pollMs: 250,
  /** An answer that took longer is not an answer. */
  timeoutMs: 1_500,
  /** So long after the last answer that it had, a process' floor may be lent to others. */
  graceMs: 12_000,
  /** Partitions are vouched for this long after they went: a rebalance takes everything from everybody for a while. */
  lingerMs: 6_000,
  /** A process that did not run for so long (SIGSTOP) may have lost its partitions without having heard of it. */
  maxGapMs: 5_000,
  /** How long a slot that several holders share by turns stays with one. */
  rotateMs: 3_000,
}
export type LeaseTimings = Readonly<typeof leaseTimings>

export const silentMs = ({ graceMs, ttlMs, lingerMs, marginMs }: LeaseTimings): number =>
  graceMs + ttlMs + lingerMs + marginMs

/** One budget of this process. */
export interface LeaseAsk {
  readonly resource: string
  /** What it wants to hold from now on. A live lease becomes smaller by this alone, never by what others ask. */
  readonly asked: number
  /** Only whole parts are given. */
  readonly whole: boolean
  /** At most the total. */
  readonly want: number
  readonly weight: number
  /** As this process knows it; the least of all live rows counts. */
  readonly total: number
  /** Partitions that this process vouches for, and how many there are (0: this budget has no floors). */
  readonly owned: readonly string[]
  readonly partitions: number
  /** Gives `asked` up as soon as it is 0, instead of holding a place. */
  readonly leaving: boolean
}

export interface LeaseRequest {
  /** One process, from its start to its end; a restarted one is another. */
  readonly holder: string
  /** Grows with every request: one that arrives after a later one changes nothing. */
  readonly sequence: number
  /** `nowMs` of the last answer that arrived here; null: none has. */
  readonly seenMs: number | null
  readonly asks: readonly LeaseAsk[]
}

/** One live row of a resource that was asked for. */
export interface LeaseRow {
  readonly resource: string
  readonly holder: string
  readonly held: number
  readonly want: number
  readonly weight: number
  readonly total: number
  readonly sequence: number
  readonly expiresInMs: number
  /** Part of the resource that may be leased, 0 to 1; the rest is the floors of processes that fell silent. */
  readonly covered: number
}

export interface LeaseAnswer {
  /** The database's clock, milliseconds since the epoch. */
  readonly nowMs: number
  readonly rows: readonly LeaseRow[]
}

export interface LeaseTable {
  /** In one statement, so that a process that is stopped in the middle holds no lock. @throws anything: not renewed. */
  readonly renew: (request: LeaseRequest) => Promise<LeaseAnswer>
}
