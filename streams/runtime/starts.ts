/**
 * Which record of a partition is begun next: each tenant that has one asks the stage's gate for a place, so the gate
 * decides between tenants and partitions alike, and a flood of one stands at it once.
 */
import type { Ask, Gate, Lane, Release, WaitReason } from '../throttle/ports.ts'
import { bytesOf } from './window.ts'
import type { Window } from './window.ts'

/** operator: a tenant of it is paused. retry-due: the time of a failed record's next attempt. The others: the gate. */
export type WaitFor = WaitReason | 'operator' | 'retry-due'

export interface Starts {
  /** This tenant may have a record to start. */
  readonly offer: (tenant: string) => void
  readonly offerAll: () => void
  /** Starts what may start. */
  readonly pump: () => void
  /** Stands at the gate. */
  readonly isWaiting: () => boolean
  /** The gate's, for the first tenant that an operator has not paused. */
  readonly firstWait: () => WaitReason | null | undefined
  readonly waits: () => WaitFor[]
}

interface Dependencies {
  readonly name: string
  readonly lane: Lane
  readonly gate: Gate
  readonly window: Window
  /** Aborted when the partition is lost. */
  readonly lost: AbortSignal
  readonly mayStart: () => boolean
  /** By a command of an operator. */
  readonly tenantPaused: (tenantId: string) => boolean
  /** What a tenant's own limits count beside records; undefined: nothing. */
  readonly takesOf?: ((tenantId: string, cost: number) => Readonly<Record<string, number>> | undefined) | undefined
  readonly begin: (tenant: string, release: Release) => void
  readonly pumped: () => void
}

/** So many of those at the gate are asked what they wait for: it is asked at every look of a human or a scraper. */
const ASKED_TENANTS = 16

export function createStarts(d: Dependencies): Starts {
  const { gate, window, mayStart, tenantPaused } = d
  const waiting = new Set<string>()
  /** They have a record, and neither stand at the gate nor are paused. */
  const startable = new Set<string>()
  const takes = { [`${d.name}_records`]: 1 }
  let pumping = false

  function pump() {
    if (pumping) return
    pumping = true
    let started = true
    while (started) {
      started = false
      for (const tenant of startable) {
        if (!mayStart()) break
        if (!window.head(tenant) || tenantPaused(tenant)) startable.delete(tenant)
        else started = start(tenant) || started
      }
    }
    pumping = false
    d.pumped()
  }
  /** @returns whether it was started at once; else its tenant stands at the gate now. */
  function start(tenant: string): boolean {
    const release = gate.tryAcquire(askOf(tenant))
    if (release) d.begin(tenant, release)
    else void wait(tenant)
    return release !== undefined
  }
  function askOf(tenantId: string): Ask {
    // Bytes / 4 is about the number of tokens: what the record will cost downstream.
    const cost = Math.ceil(bytesOf(window.head(tenantId)!) / 4)
    const more = d.takesOf?.(tenantId, cost)
    return { tenantId, lane: d.lane, cost, takes: more ? { ...takes, ...more } : takes }
  }
  async function wait(tenant: string) {
    waiting.add(tenant)
    startable.delete(tenant)
    // It refuses only when the partition was lost or it was closed; whatever else fails here is a bug, and is heard.
    const release = await gate.acquire(askOf(tenant), d.lost).catch(() => undefined)
    waiting.delete(tenant)
    if (!release) return
    if (mayStart() && window.head(tenant) && !tenantPaused(tenant)) d.begin(tenant, release)
    else release({ kind: 'unsent', latencyMs: 0 })
    offer(tenant)
    pump()
  }
  function offer(tenant: string) {
    if (!waiting.has(tenant)) startable.add(tenant)
  }
  const reasonOf = (tenant: string) => (window.head(tenant) ? gate.waitMs(askOf(tenant)).reason : null)

  return {
    offer,
    offerAll: () => {
      for (const tenant of window.tenants()) offer(tenant)
    },
    pump,
    isWaiting: () => waiting.size > 0,
    firstWait: () => {
      for (const tenant of window.tenants()) if (!tenantPaused(tenant)) return reasonOf(tenant)
      return undefined
    },
    waits: () => {
      const reasons = new Set<WaitFor>()
      for (const tenant of window.tenants()) if (tenantPaused(tenant)) reasons.add('operator')
      for (const tenant of [...waiting].slice(0, ASKED_TENANTS)) {
        const reason = reasonOf(tenant)
        if (reason) reasons.add(reason)
      }
      return [...reasons]
    },
  }
}
