/** More work than any limit lets pass, through one gate, as the connectors do it: acquire, send, release with the answer. */
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../../streams/runtime/ports.ts'
import { createGate } from '../../../streams/throttle/gate.ts'
import type { AdaptiveLimit, FeedbackKind } from '../../../streams/throttle/ports.ts'
import { percentile } from '../runtime/spread.ts'

export type Send = () => Promise<FeedbackKind>

export interface Load {
  readonly send: Send
  /** Not measured: the limit is found. */
  readonly warmMs: number
  readonly forMs: number
}

export interface Figures {
  /** Answers a second; refusals are none. */
  readonly throughput: number
  /** Of answers, from sending on: waiting at the gate is not the dependency's latency. */
  readonly p99Ms: number
  /** Refused or failed ÷ all requests. */
  readonly refused: number
  /** Mean of the requests in flight. */
  readonly inFlight: number
}

/** Twice the highest limit that is tried: somebody always waits. */
const WORKERS = 64
/** Whoever was refused comes again after this. */
const AGAIN_MS = 50

export async function drive(
  limit: { readonly fixed: number } | { readonly adaptive: AdaptiveLimit },
  { send, warmMs, forMs }: Load,
): Promise<Figures> {
  const gate = createGate({
    name: 'bench',
    clock: systemClock,
    budgets: [],
    ...('fixed' in limit ? { localSlots: limit.fixed } : { adaptive: limit.adaptive }),
  })
  const fromMs = performance.now() + warmMs
  const untilMs = fromMs + forMs
  const latencies: number[] = []
  let all = 0
  let inFlightSum = 0

  async function once(): Promise<boolean> {
    const release = await gate.acquire({ tenantId: 'bench', lane: 'live', cost: 1 })
    const inFlight = gate.figures().inFlight
    const sentMs = performance.now()
    const kind = await send()
    const nowMs = performance.now()
    release({ kind, latencyMs: nowMs - sentMs })
    if (sentMs < fromMs || nowMs > untilMs) return kind === 'ok'
    all += 1
    inFlightSum += inFlight
    if (kind === 'ok') latencies.push(nowMs - sentMs)
    return kind === 'ok'
  }
  async function worker() {
    while (performance.now() < untilMs) if (!(await once())) await sleep(AGAIN_MS)
  }
  await Promise.all(Array.from({ length: WORKERS }, worker))
  gate.close()
  return {
    throughput: (latencies.length / forMs) * 1_000,
    p99Ms: latencies.length > 0 ? percentile(latencies, 0.99) : Infinity,
    refused: all > 0 ? 1 - latencies.length / all : 1,
    inFlight: all > 0 ? inFlightSum / all : 0,
  }
}
