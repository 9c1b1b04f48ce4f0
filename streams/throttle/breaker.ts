/**
 * One circuit over the whole fleet. Each instance acts on its own failures at once and writes them to the log; what the
 * log says counts for all. When the wait is over, whoever has work claims the probe with the next term, and has it only
 * once the log shows that the claim came first: no other lock is needed. With the log away, it goes on alone.
 */
import { ConsecutiveBreaker } from 'cockatiel'
import { errorMessage } from '../errors.ts'
import type { BreakerFailure, BreakerOptions, BreakerView, FleetBreaker } from './breaker-ports.ts'
import { closedFromStart, untilMs, writeBreaker } from './breaker-state.ts'
import type { BreakerRecord, BreakerState } from './breaker-state.ts'
import { breakerKey } from './control-state.ts'
import type { ControlState } from './control-state.ts'

/** A log that has not shown our record by then is away: probing alone is better than not at all. */
const AWAY_MS = 2_000
/** Claims of several instances are spread, so that most see the first one before they write their own. */
const SPREAD_MS = 200
/** An instance without work looks this often whether it has some. */
const IDLE_MS = 500
/**
 * A probe that nothing was sent with is given back after this: its work went, or waits for something else. Twice as long
 * each time in a row, or an instance that is slow to begin would never get to send; the others are let go first.
 */
const UNSENT_MS = 2_000
const LET_OTHERS_MS = 1_000
/** A Retry-After from here on is a cooldown; below, the next requests simply come later. */
const COOLDOWN_MS = 1_000

type Change = Pick<BreakerRecord, 'kind' | 'durationMs'> & Partial<BreakerRecord>

export function createFleetBreaker(options: BreakerOptions): FleetBreaker {
  const { dependency, channel, clock, logger, random = Math.random, minMs, maxMs, probeMs = 35_000, hasWork } = options
  const me = channel?.instance ?? 'this instance'
  const trips = new ConsecutiveBreaker(options.tripAfter)
  const listeners = new Set<(state: BreakerView) => void>()
  let shared = sharedOf(channel?.state())
  /** What this instance did and the log does not show yet, or cannot. */
  let ahead: BreakerState | null = null
  /** The last one written here. Its end counts from before it was written: for us it is over before it is for others. */
  let claim: { term: number; fromMs: number; untilMs: number; mineMs?: number; sent?: boolean } | null = null
  let patienceMs = UNSENT_MS
  let yieldUntilMs = 0
  /** What the dependency itself told this instance. */
  let notBeforeMs = 0
  let spreadMs = 0
  let told = shared.kind
  let cancelTimer = () => {}

  function sharedOf(state: ControlState | undefined): BreakerState {
    return state?.breakers.get(dependency) ?? closedFromStart
  }
  const current = () => ahead ?? shared
  const readyMs = () => Math.max(untilMs(current()), notBeforeMs)
  const isClaimed = () => {
    const { kind, term, instance } = current()
    return claim !== null && kind === 'half-open' && term === claim.term && instance === me
  }
  const isMine = () => isClaimed() && clock.now() < claim!.untilMs

  function view(): BreakerView {
    const { kind, fromMs, openedMs, openedBy, reason } = current()
    const probeIsMine = isMine()
    if (kind === 'closed') return { kind, sinceMs: fromMs, probeIsMine, openedBy: '', reason: '' }
    const outage = { sinceMs: openedMs, probeIsMine, openedBy, reason }
    if (probeIsMine || (kind === 'half-open' && clock.now() < untilMs(current())))
      return { kind: 'half-open', ...outage }
    return { kind: 'open', ...outage, retryInMs: Math.max(0, readyMs() - clock.now()) }
  }

  // --- writing

  function next(change: Change): BreakerState {
    const { term, fromMs: _, ...kept } = current()
    return { ...kept, ...change, term: term + 1, instance: me, fromMs: clock.now(), refused: null }
  }
  async function write(record: BreakerRecord): Promise<void> {
    await channel?.publish(breakerKey(dependency), writeBreaker(dependency, record))
  }
  /** Counts here at once, for the others as soon as they read it. */
  function act(change: Change) {
    ahead = next(change)
    claim = null
    write(ahead).catch((error: unknown) =>
      logger.warn({ dependency, error: errorMessage(error) }, 'the fleet was not told of a change of the circuit'),
    )
    settle()
  }
  function open({ message, retryAfterMs = 0 }: BreakerFailure, failures: number) {
    const ceiling = Math.min(maxMs, minMs * 2 ** Math.min(failures, 30))
    const durationMs = Math.max(retryAfterMs, ceiling / 2 + (random() * ceiling) / 2)
    const first = current().kind === 'closed' && { openedBy: me, openedMs: clock.now() }
    act({ kind: 'open', durationMs, failures, reason: message, ...first })
  }
  /** A longer word of the dependency than the fleet knows of; a claim that may be alive ends before it. */
  function extend() {
    act({ kind: 'open', durationMs: notBeforeMs - clock.now() })
  }

  // --- the probe

  /** Sets the one timer, for whatever is due next. */
  function arm() {
    cancelTimer()
    const now = clock.now()
    if (current().kind === 'closed') return
    if (claim && !isClaimed()) return wait(claim.fromMs + AWAY_MS - now, goAlone)
    if (isMine()) return hold(claim!, now)
    // A record of ours that the log does not show: another's claim may stand before it, with a lower term than our next.
    const shownMs = ahead && channel ? ahead.fromMs + AWAY_MS : 0
    const dueMs = Math.max(readyMs() + spreadMs, shownMs, yieldUntilMs)
    if (now < dueMs) return wait(dueMs - now, arm)
    if (!hasWork()) return wait(IDLE_MS, arm)
    claimProbe()
  }
  function hold(mine: NonNullable<typeof claim>, now: number) {
    mine.mineMs ??= now
    const unsentMs = mine.mineMs + patienceMs
    if (mine.sent || !channel || mine.untilMs <= unsentMs) return wait(mine.untilMs - now, settle)
    wait(unsentMs - now, giveBack)
  }
  function giveBack() {
    if (!isMine() || claim!.sent) return settle()
    patienceMs = Math.min(2 * patienceMs, probeMs)
    yieldUntilMs = clock.now() + LET_OTHERS_MS
    act({ kind: 'open', durationMs: 0 })
  }
  function wait(ms: number, call: () => void) {
    cancelTimer = clock.after(Math.max(0, ms), call)
  }
  function claimProbe() {
    const record = next({ kind: 'half-open', durationMs: probeMs })
    const mine = { term: record.term, fromMs: record.fromMs, untilMs: record.fromMs + probeMs }
    claim = mine
    if (!channel) return goAlone()
    arm()
    write(record).catch(() => claim === mine && goAlone())
  }
  /** The log is away: nobody can be asked, so nobody is. */
  function goAlone() {
    if (!claim || isClaimed()) return
    if (channel) logger.warn({ dependency }, 'the log does not answer: probing without asking the fleet')
    ahead = { ...next({ kind: 'half-open', durationMs: probeMs }), term: claim.term, fromMs: claim.fromMs }
    settle()
  }

  // --- reading

  function follow(state: ControlState) {
    const seen = sharedOf(state)
    if (seen === shared) return
    const moved = seen.term !== shared.term
    shared = seen
    if (seen.refused === me) write(seen).catch(() => {}) // else compaction would keep the refused one
    if (!moved) return
    const isOlder = ahead !== null && seen.instance === me && seen.term < ahead.term
    if (!isOlder) ahead = null
    if (claim && seen.term >= claim.term && !isClaimed()) claim = null
    if (shared.kind !== 'closed' && !ahead && notBeforeMs > untilMs(shared)) extend()
    else settle()
  }
  /** After every change, also one that only time made. */
  function settle() {
    const { kind, reason } = current()
    if (kind === 'closed') {
      notBeforeMs = 0
      trips.success()
    }
    if (claim && clock.now() >= claim.untilMs) claim = null
    if (kind === 'open' && told === 'closed') logger.warn({ dependency, reason }, 'circuit open: nothing is sent')
    if (kind === 'closed' && told !== 'closed') logger.info({ dependency }, 'circuit closed')
    told = kind
    spreadMs = channel ? random() * SPREAD_MS : 0
    arm()
    for (const call of [...listeners]) call(view())
  }

  const unfollow = channel?.onChange(follow)
  arm()
  return {
    state: view,
    failed: (failure) => {
      const { retryAfterMs = 0, sentMs = Infinity } = failure
      const trip = failure.trip || retryAfterMs >= COOLDOWN_MS
      const now = clock.now()
      const { kind, fromMs, failures } = current()
      if (kind === 'closed') {
        if (sentMs < fromMs && !trip) return // a request of the outage that is over
        if (!trip && !trips.failure()) return
        notBeforeMs = now + retryAfterMs
        // Opened again as soon as it closed: the wait goes on growing, or the circuit would swing for ever.
        open(failure, now - fromMs < 2 * maxMs ? failures + 1 : 0)
        return
      }
      const isLonger = now + retryAfterMs > readyMs()
      notBeforeMs = Math.max(notBeforeMs, now + retryAfterMs)
      if (isMine() && sentMs >= claim!.fromMs) open(failure, failures + 1)
      else if (isLonger && !ahead) extend()
    },
    succeeded: ({ sentMs = Infinity } = {}) => {
      if (current().kind === 'closed') trips.success()
      else if (isMine() && sentMs >= claim!.fromMs) act({ kind: 'closed', durationMs: 0, openedBy: me, reason: '' })
    },
    sent: () => {
      patienceMs = UNSENT_MS
      if (isMine()) claim!.sent = true
    },
    wake: arm,
    onChange: (call) => {
      listeners.add(call)
      return () => void listeners.delete(call)
    },
    close: () => {
      unfollow?.()
      listeners.clear()
      if (isMine()) act({ kind: 'open', durationMs: 0 })
      // Written and not shown yet: with the claim's own term it counts only if the claim does, behind which it stands.
      else if (claim && channel) write({ ...next({ kind: 'open', durationMs: 0 }), term: claim.term }).catch(() => {})
      claim = null
      cancelTimer()
    },
  }
}
