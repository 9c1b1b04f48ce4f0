/**
 * Lets work pass within its budgets, evenly and in fair order. A waiter leaves when it has the turn, a slot is free, all
 * the rates that it takes are ready and its tenant's own limits allow it. Who is held by its tenant's limits is passed
 * over; who is held by what all share keeps the turn, and the others wait behind it.
 *
 * One timer, for the next possible pass; a release, a change of a budget and the end of a cooldown look again at once.
 */
import type { Clock } from '../runtime/ports.ts'
import { createCooldown } from './gate-cooldown.ts'
import { createGateLine } from './gate-line.ts'
import { createPresence } from './gate-presence.ts'
import { createGateRates } from './gate-rates.ts'
import { createSlots } from './gate-slots.ts'
import { createTimer } from './gate-timer.ts'
import { createWaits } from './gate-waits.ts'
import type { AdaptiveLimit, Ask, Budget, Gate, Release, TenantLimits, WaitReason } from './ports.ts'

interface Dependencies {
  readonly name: string
  readonly clock: Clock
  readonly budgets: readonly Budget[]
  /** This process' own bound on requests in flight, such as a pool's size. */
  readonly localSlots?: number
  readonly adaptive?: AdaptiveLimit
  readonly tenants?: TenantLimits
  readonly random?: () => number
  /** Tenants that this gate speaks for, where its asks do not name them: its budgets' parts follow it. */
  readonly weight?: () => number
  /** Those in line have waited this long for this reason; called piece by piece while they do. */
  readonly onWait?: (reason: WaitReason, ms: number) => void
}
interface Obstacle {
  readonly reason: WaitReason
  /** Infinity: until something changes. */
  readonly ms: number
}

export function createGate(dependencies: Dependencies): Gate {
  const { name, clock, budgets, localSlots, adaptive, tenants, random = Math.random, onWait } = dependencies
  const line = createGateLine({ clock, tenants })
  const presence = createPresence()
  const weight = dependencies.weight ?? presence.weight
  const rates = createGateRates({ clock, budgets, weight })
  const slots = createSlots({ budgets, localSlots, adaptive, waiting: line.size, weight })
  const cooldown = createCooldown({ clock, random, onOver: () => adaptive?.restart() })
  const waits = createWaits({ clock, onWait })
  const timer = createTimer({ clock, call: pump })
  /** Only budgets want to know who is here. */
  const counted = budgets.length > 0

  let refusal: (() => Error) | null = null
  let closed = false
  let pumping = false
  let again = false

  const unsubscribe = budgets.map(({ onChange }) => onChange(pump))

  /** What all share, and this one cannot pass now. */
  function obstacle(ask: Ask): Obstacle | null {
    const coolMs = cooldown.leftMs()
    if (coolMs > 0) return { reason: 'cooldown', ms: coolMs }
    const full = slots.full()
    if (full) return { reason: full, ms: Infinity }
    const rateMs = rates ? rates.waitMs(ask, clock.now()) : 0
    return rateMs > 0 ? { reason: 'rate', ms: rateMs } : null
  }
  function leave(ask: Ask): Release {
    const taken = slots.take()
    rates?.take(ask)
    line.take(ask)
    if (counted) presence.enter(ask)
    let over = false
    return (feedback) => {
      if (over) return
      over = true
      slots.free(feedback, taken)
      if (counted) presence.leave(ask)
      if (feedback?.kind === 'unsent') {
        rates?.giveBack(ask)
        line.giveBack(ask)
      }
      pump()
    }
  }
  /** A budget may answer `hungry` by a change at once: then once more, and if it goes on so, a moment later. */
  function pump() {
    again = pumping
    if (pumping || line.size() === 0) return
    pumping = true
    passAll()
    if (again) passAll()
    if (again) timer.set(clock.now() + 1)
    pumping = false
  }
  function passAll() {
    again = false
    const nowMs = clock.now()
    for (let head = line.head(nowMs); head; head = line.head(nowMs)) {
      const { ask, pass } = head.item
      const held = obstacle(ask)
      if (held) return wait(held, ask)
      line.serve(head)
      pass(leave(ask))
    }
    wait(line.size() > 0 ? { reason: 'tenant', ms: Infinity } : null, null)
  }
  /** `ask`: the first in line, if there is one that its tenant's limits do not hold. */
  function wait(held: Obstacle | null, ask: Ask | null) {
    const dueMs = clock.now() + (held?.ms ?? Infinity)
    waits.held(held ? held.reason : null)
    rates?.expect(held?.reason === 'rate' ? ask : null, dueMs)
    if (held && ask) tell(held.reason, ask)
    timer.set(line.size() > 0 ? Math.min(dueMs, line.wakeMs()) : Infinity)
  }
  function tell(reason: WaitReason, ask: Ask) {
    if (reason === 'rate') rates?.heldUp(ask, clock.now())
    if (reason === 'slots') slots.heldUp()
  }
  function tryAcquire(ask: Ask): Release | undefined {
    if (refusal || line.contended() || !line.tenantAllows(ask)) return undefined
    const held = obstacle(ask)
    if (!held) return leave(ask)
    tell(held.reason, ask)
    return undefined
  }
  function enqueue(ask: Ask, signal: AbortSignal | undefined): Promise<Release> {
    return new Promise((resolve, reject) => {
      function out() {
        signal?.removeEventListener('abort', abort)
        rates?.queued(ask, -1)
        presence.leave(ask)
      }
      function abort() {
        line.remove(entry)
        out()
        reject(signal?.reason)
        if (line.size() > 0) pump()
        else wait(null, null)
      }
      signal?.addEventListener('abort', abort, { once: true })
      rates?.queued(ask, 1)
      presence.enter(ask)
      const pass = (release: Release) => (out(), resolve(release))
      const refuse = (error: unknown) => (out(), reject(error))
      const entry = line.add({ ask, sinceMs: clock.now(), pass, refuse })
      pump()
    })
  }
  function refuseAll(error: () => Error) {
    refusal = error
    for (const { refuse } of line.removeAll()) refuse(error())
    wait(null, null)
  }
  function waitMs(ask: Ask): { ms: number; reason: WaitReason | null } {
    if (refusal) return { ms: Infinity, reason: 'cooldown' }
    const { ahead, tenantMs } = line.before(ask)
    const full = slots.full()
    const rateMs = rates ? rates.waitMs(ask, clock.now()) + rates.queuedMs(ask, ahead / line.size()) : 0
    let longest: { ms: number; reason: WaitReason | null } = { ms: 0, reason: null }
    const consider = (reason: WaitReason, ms: number) => {
      if (ms > longest.ms) longest = { ms, reason }
    }
    consider('cooldown', cooldown.leftMs())
    if (full) consider(full, slots.turnMs(ahead + 1))
    consider('rate', rateMs)
    consider('tenant', tenantMs)
    if (longest.reason) tell(longest.reason, ask)
    return longest
  }
  return {
    tryAcquire,
    acquire: (ask, signal) => {
      if (signal?.aborted) return Promise.reject(signal.reason)
      if (refusal) return Promise.reject(refusal())
      const release = tryAcquire(ask)
      return release ? Promise.resolve(release) : enqueue(ask, signal)
    },
    waitMs,
    cooldown: (forMs) => {
      cooldown.hold(forMs)
      pump()
    },
    shut: (error) => {
      if (closed) return
      if (error) return refuseAll(error)
      if (refusal) cooldown.hold(0)
      refusal = null
    },
    probing: (one) => {
      slots.probing(one)
      pump()
    },
    figures: () => ({
      inFlight: slots.inFlight(),
      limit: slots.limit(),
      waiting: line.size(),
      tenants: presence.weight(),
      heldBy: waits.reason(),
      waitedMs: waits.sums(),
      oldestWaitMs: clock.now() - (line.oldestMs() ?? clock.now()),
    }),
    close: () => {
      closed = true
      for (const cancel of unsubscribe) cancel()
      refuseAll(() => new Error(`The gate ${name} is closed`))
    },
  }
}
