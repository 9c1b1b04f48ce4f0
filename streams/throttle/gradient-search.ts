/**
 * The search for how many requests at once a dependency takes, common to the embeddings API and to Postgres. Vegas: the
 * queue that builds up there is L × (1 - baseline / latency); short: one more, long: fewer. Refusals and timeouts cut
 * the limit by a factor, once per round trip.
 *
 * A level that did not hold is a ceiling: the search returns to just below it at once and tries it again only after a
 * while that doubles with every failure. A plain sawtooth between 0.7 and 1 would give away 15% of the throughput.
 */
import type { Clock } from '../runtime/ports.ts'
import { createBaseline } from './gradient-baseline.ts'
import type { AdaptiveLimit, Feedback, FeedbackKind } from './ports.ts'

/** Answers per decision, at least; fewer, and noise decides at small limits. */
const WINDOW = 32
/** The same where a level is only regained, and at the very first start, when the baseline is made as well. */
const SHORT_WINDOW = 4
const FIRST_WINDOW = 16
/** Windows below a ceiling before it is tried again. */
const PATIENCE = { least: 4, most: 16 }
/**
 * Answers at half the limit that renew the baseline (with a spread of 0.5 it is then right within 6%), and after how
 * many windows, ± half: 1 to 2% of the throughput.
 */
const PROBE_ANSWERS = 64
const PROBE_AFTER_WINDOWS = 100
/** Answers: slow start leaves a baseline of a few. */
const FIRST_PROBE_AFTER = 4 * WINDOW
/** Windows in a row that do not fit the baseline: perhaps the dependency has changed, and not our part of its load. */
const DOUBTS = 3

/**
 * The queue, as a part of what is in flight, below which the limit grows and above which it shrinks: latencies of 1.14
 * and 1.33 times the idle one. Vegas' own 3 and 6 requests are the same at 24 in flight; at 4 servers they would let
 * latency double, and at 50 the noise of measuring is larger than that.
 */
const GROW_BELOW = 1 / 8
const SHRINK_ABOVE = 1 / 4

export interface SearchOptions {
  readonly clock: Clock
  readonly max: number
  /** Where it begins before anything is known (default 1); after a cooldown it begins at 1. */
  readonly initial?: number
  readonly random?: () => number
}

interface Dependencies extends SearchOptions {
  /** What is left of the limit after such an answer; kinds that are not named do not cut it. */
  readonly cuts: Readonly<Partial<Record<FeedbackKind, number>>>
}

export function createSearch({ clock, max, initial = 1, random = Math.random, cuts }: Dependencies): AdaptiveLimit {
  const baseline = createBaseline()
  let limit = Math.min(max, initial)
  /** Slow start ends here. */
  let threshold = max
  /** The last level that did well: what slow start aims at half of. */
  let held: number | undefined
  let ceiling = Infinity
  let shortWindow = FIRST_WINDOW
  let patience = PATIENCE.least
  let calmWindows = 0
  let doubts = 0
  /** Answers to what left earlier say nothing of the present limit. */
  let sinceMs = -Infinity
  let window = emptyWindow()
  /** Answers still wanted at half the limit; 0: not probing. */
  let probeLeft = 0
  let idleAnswers = 0

  const fullWindow = () => Math.max(WINDOW, limit)
  const half = () => Math.max(1, Math.floor(limit / 2))
  const untilProbe = () => PROBE_AFTER_WINDOWS * fullWindow() * (0.5 + random())
  let probeIn = FIRST_PROBE_AFTER

  function set(next: number) {
    if (next < limit) sinceMs = clock.now()
    limit = Math.min(max, Math.max(1, Math.floor(next)))
    calmWindows = 0
    window = emptyWindow()
  }
  /** The present level does not hold. */
  function failed() {
    if (limit >= ceiling) patience = Math.min(patience * 2, PATIENCE.most)
    ceiling = limit
  }
  function cut(factor: number, { kind }: Feedback, inFlight: number) {
    held ??= limit
    // One step up that is refused takes back that step; what is refused after that is more than a trial.
    const trial = kind === 'throttled' && limit === ceiling
    if (inFlight >= limit / 2) failed()
    probeLeft = 0
    set(trial ? limit - 1 : limit * factor)
    sinceMs = clock.now() // at 1 too: once per round trip
    threshold = limit
  }
  function answered({ latencyMs, class: requestClass = '' }: Feedback, inFlight: number) {
    const idle = inFlight <= half()
    if (idle) baseline.learn(latencyMs, requestClass)
    if (probeLeft > 0) return probed(idle)
    if (idle && (idleAnswers += 1) >= PROBE_ANSWERS) postponeProbe()
    if (inFlight < limit / 2) return // the limit was not in use
    const slowness = baseline.slowness(latencyMs, requestClass)
    window.answers += 1
    window.inFlight += inFlight
    if (slowness !== undefined) {
      window.slowness += slowness
      window.compared += 1
    }
    if (window.answers >= Math.max(limit, catchesUp() ? shortWindow : WINDOW)) decide()
    if ((probeIn -= 1) <= 0) probe({ doubted: false })
  }
  /** Below a level that has held before, or not yet at any: a round trip is enough to go on. */
  const catchesUp = () => limit < threshold || (ceiling < Infinity && limit + 1 < ceiling)

  function decide() {
    const slowness = window.compared > 0 ? Math.exp(window.slowness / window.compared) : 1
    const queued = 1 - 1 / slowness
    const grows = queued < (limit < threshold ? SHRINK_ABOVE : GROW_BELOW)
    if (!grows && window.answers < WINDOW) return // too few to stop for
    const excess = (queued - SHRINK_ABOVE) * (window.inFlight / window.answers)
    window = emptyWindow()
    doubts = excess > 0 || slowness < 0.8 ? doubts + 1 : 0
    if (excess <= 0 && limit >= threshold) held = limit
    if (grows) grow()
    else if (limit < threshold) threshold = limit
    else if (excess > 0) shrink(excess / 2)
    if (doubts >= DOUBTS) probe({ doubted: true })
  }
  function grow() {
    if (limit >= ceiling) {
      ceiling = Infinity
      patience = PATIENCE.least
    }
    if (limit < threshold) set(Math.min(limit * 2, threshold))
    else if (ceiling === Infinity) set(limit + Math.max(1, limit * GROW_BELOW))
    else if (limit + 1 < ceiling) set(limit + Math.max(1, (ceiling - 1 - limit) / 2))
    else if ((calmWindows += 1) >= patience) set(limit + 1)
  }
  function shrink(by: number) {
    failed()
    set(limit - Math.max(1, by))
    threshold = limit
  }
  function probe({ doubted }: { doubted: boolean }) {
    if (limit === 1) return postponeProbe()
    baseline.renew(doubted)
    probeLeft = Math.max(PROBE_ANSWERS, limit)
    sinceMs = clock.now()
  }
  function probed(idle: boolean) {
    if (idle) probeLeft -= 1
    if (probeLeft > 0) return
    postponeProbe()
    window = emptyWindow()
  }
  function postponeProbe() {
    probeIn = untilProbe()
    idleAnswers = 0
    doubts = 0
  }
  return {
    limit: () => (probeLeft > 0 ? half() : limit),
    sample: (feedback, inFlight) => {
      if (clock.now() - feedback.latencyMs < sinceMs) return
      const factor = cuts[feedback.kind]
      if (factor !== undefined) cut(factor, feedback, inFlight)
      else if (feedback.kind === 'ok') answered(feedback, inFlight)
    },
    restart: () => {
      if (held !== undefined) threshold = Math.max(1, Math.floor(held / 2))
      ceiling = Infinity
      patience = PATIENCE.least
      shortWindow = SHORT_WINDOW
      probeLeft = 0
      set(1)
      sinceMs = clock.now()
      postponeProbe()
    },
  }
}

const emptyWindow = () => ({ answers: 0, inFlight: 0, slowness: 0, compared: 0 })
