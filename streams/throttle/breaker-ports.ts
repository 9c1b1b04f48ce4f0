/** What a fleet-wide circuit breaker is given and gives. */
import type { Clock, Logger } from '../runtime/ports.ts'
import type { BreakerKind } from './breaker-state.ts'
import type { ControlChannel } from './control-state.ts'

export interface BreakerOptions {
  readonly dependency: string
  /** null: this instance alone (Kafka's own breaker cannot speak through Kafka). */
  readonly channel: ControlChannel | null
  readonly clock: Clock
  readonly logger: Logger
  readonly random?: () => number
  /** Failures in a row that open the circuit. */
  readonly tripAfter: number
  /** Wait before the first probe; it doubles with every probe that fails, up to `maxMs`, half of it being jitter. */
  readonly minMs: number
  readonly maxMs: number
  /** A probe that was not answered by then is given up, and another instance may try: above the longest request. */
  readonly probeMs?: number
  /** Something waits for this dependency here. An instance without work never probes: it has nothing to send. */
  readonly hasWork: () => boolean
}

export interface BreakerFailure {
  readonly message: string
  /** The dependency's own word on when to come back, of any length. From 1 s on it opens the circuit at once. */
  readonly retryAfterMs?: number | undefined
  /** Opens at once: it will not get better by itself (quota used up). */
  readonly trip?: boolean
  /** When the request left, so that one from before the outage is not taken for the probe. Default: just now. */
  readonly sentMs?: number
}

export interface BreakerView {
  readonly kind: BreakerKind
  /** closed: since it closed; else since the outage began. */
  readonly sinceMs: number
  /** While open: until the next probe may be claimed; 0: as soon as somebody has work. */
  readonly retryInMs?: number
  /** This instance, and no other, may send ONE request now. */
  readonly probeIsMine: boolean
  readonly openedBy: string
  readonly reason: string
}

export interface FleetBreaker {
  readonly state: () => BreakerView
  readonly failed: (failure: BreakerFailure) => void
  /** Only that of the probe closes the circuit. `sentMs` as for a failure. */
  readonly succeeded: (request?: { readonly sentMs?: number }) => void
  /** A request leaves now: a probe that is claimed and not sent is given back in a while. Cheap to call often. */
  readonly sent: () => void
  /** Work has come: the probe is claimed now if it is due, instead of at the next look. Cheap to call often. */
  readonly wake: () => void
  readonly onChange: (call: (state: BreakerView) => void) => () => void
  /** Gives a probe back, so that the others need not wait for its end. */
  readonly close: () => void
}
