/**
 * A closed loop against a simulated dependency: as much is in flight as the limit allows, at every moment. Deterministic:
 * time is simulated and chance is seeded. Only the tests of the adaptive limits use it.
 */
import { seeded } from './seeded.ts'
import type { Clock } from '../runtime/ports.ts'
import type { AdaptiveLimit, FeedbackKind } from './ports.ts'

export interface Server {
  /** Requests that it works on at the same time; the others wait there, or are refused. */
  readonly servers: number
  readonly refuses: boolean
  /** Mean time of service, milliseconds, and its spread (standard deviation of the logarithm). */
  readonly serviceMs: number
  readonly spread: number
  /** What a class of request takes, as a factor; drawn evenly. */
  readonly classes?: Readonly<Record<string, number>>
}
export interface Run {
  /** Answers per second once warm. */
  readonly throughput: number
  readonly p99Ms: number
  readonly meanLimit: number
  /** Refused ÷ all requests. */
  readonly refused: number
}
interface Request {
  readonly sentMs: number
  readonly endMs: number
  readonly inFlight: number
  readonly kind: FeedbackKind
  readonly requestClass: string
}

const REFUSAL_MS = 5

export const fixed = (limit: number) => (): AdaptiveLimit => ({
  limit: () => limit,
  sample: () => {},
  restart: () => {},
})

/** `serverAt`: what the dependency is like at a time; `warmMs` are not measured. */
export function simulate(
  createLimit: (given: { clock: Clock; random: () => number }) => AdaptiveLimit,
  serverAt: (nowMs: number) => Server,
  { forMs, warmMs, seed }: { forMs: number; warmMs: number; seed: number },
): Run {
  const random = seeded(seed)
  let nowMs = 0
  const limit = createLimit({ clock: { now: () => nowMs, after: () => () => {} }, random: seeded(seed + 1) })
  const flying: Request[] = []
  /** When each server is free. */
  let free: number[] = []
  const latencies: number[] = []
  let refused = 0
  let limitTimesMs = 0

  function send() {
    const server = serverAt(nowMs)
    const sentMs = nowMs
    const inFlight = flying.length + 1
    while (free.length < server.servers) free.push(nowMs)
    if (free.length > server.servers) free = free.sort((a, b) => a - b).slice(-server.servers)
    const names = Object.keys(server.classes ?? { '': 1 })
    const requestClass = names[Math.floor(random() * names.length)]!
    if (server.refuses && inFlight > server.servers) {
      flying.push({ sentMs, inFlight, requestClass, kind: 'throttled', endMs: nowMs + REFUSAL_MS })
      return
    }
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
    const service = server.serviceMs * (server.classes?.[requestClass] ?? 1) * Math.exp(normal * server.spread)
    const first = free.indexOf(Math.min(...free))
    const startMs = server.refuses ? nowMs : Math.max(nowMs, free[first]!)
    free[first] = startMs + service
    flying.push({ sentMs, inFlight, requestClass, kind: 'ok', endMs: startMs + service })
  }
  while (nowMs < forMs) {
    while (flying.length < limit.limit()) send()
    const next = flying.reduce((a, b) => (b.endMs < a.endMs ? b : a))
    if (nowMs > warmMs) limitTimesMs += limit.limit() * (next.endMs - nowMs)
    flying.splice(flying.indexOf(next), 1)
    nowMs = next.endMs
    const latencyMs = nowMs - next.sentMs
    limit.sample({ kind: next.kind, latencyMs, class: next.requestClass }, next.inFlight)
    if (nowMs <= warmMs) continue
    if (next.kind === 'ok') latencies.push(latencyMs)
    else refused += 1
  }
  const measuredMs = nowMs - warmMs
  return {
    throughput: (latencies.length * 1000) / measuredMs,
    p99Ms: latencies.sort((a, b) => a - b)[Math.floor(latencies.length * 0.99)]!,
    meanLimit: limitTimesMs / measuredMs,
    refused: refused / (refused + latencies.length),
  }
}

/** The fixed limit from half of `max` on that serves best: the smallest with 99% of the highest throughput. */
export function bestFixed(server: Server, max: number, span: { forMs: number; warmMs: number; seed: number }): Run {
  const least = Math.floor(max / 2)
  const limits = Array.from({ length: max - least + 1 }, (_, index) => Math.max(1, least + index))
  const runs = limits.map((limit) => simulate(fixed(limit), () => server, span))
  const most = Math.max(...runs.map(({ throughput }) => throughput))
  return runs.find(({ throughput }) => throughput >= most * 0.99)!
}
