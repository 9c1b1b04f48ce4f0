/** One moment of this instance for the strip charts; sums that only grow become what they grew by. */
import type { EmbeddingUsage } from '../services.ts'
import type { Status } from '../status.ts'
import type { Sample } from './history.ts'

const tenths = (value: number) => Math.round(value * 10) / 10

export interface Sampler {
  readonly take: () => Sample
  /** Embedding requests and tokens a second, between the two latest samples. */
  readonly usage: () => { readonly requestsPerSecond: number; readonly tokensPerSecond: number }
}

export function createSampler(status: Status, embeddings: EmbeddingUsage, now: () => number): Sampler {
  let before = { atMs: now(), ...embeddings, held: heldMs() }
  let usage = { requestsPerSecond: 0, tokensPerSecond: 0 }

  function heldMs() {
    return Object.fromEntries(status.throttle().gates.map(({ gate, waitedMs }) => [gate, { ...waitedMs }]))
  }
  /** Only reasons that held something up. */
  function grown(gate: string, waitedMs: Readonly<Record<string, number>>): Record<string, number> {
    const old: Readonly<Record<string, number>> = before.held[gate] ?? {}
    const seconds = Object.entries(waitedMs).map(([reason, ms]) => [reason, tenths((ms - (old[reason] ?? 0)) / 1000)])
    return Object.fromEntries(seconds.filter(([, value]) => Number(value) > 0)) as Record<string, number>
  }
  return {
    usage: () => usage,
    take: () => {
      const atMs = now()
      const { gates, breakers } = status.throttle()
      const seconds = Math.max(0.001, (atMs - before.atMs) / 1000)
      usage = {
        requestsPerSecond: tenths((embeddings.requests - before.requests) / seconds),
        tokensPerSecond: tenths((embeddings.tokens - before.tokens) / seconds),
      }
      const sample: Sample = {
        usage,
        atMs,
        stages: Object.fromEntries(
          status
            .stages()
            .map(({ stage, perSecond, lag, oldestAgeSeconds }) => [
              stage,
              { perSecond: tenths(perSecond), lag, ageSeconds: tenths(oldestAgeSeconds) },
            ]),
        ),
        gates: Object.fromEntries(
          gates.map(({ gate, inFlight, limit, waiting, waitedMs }) => [
            gate,
            { inFlight, limit: limit === null ? null : tenths(limit), waiting, held: grown(gate, waitedMs) },
          ]),
        ),
        breakers: Object.fromEntries(breakers.map(({ dependency, kind }) => [dependency, kind])),
      }
      before = { atMs, ...embeddings, held: heldMs() }
      return sample
    },
  }
}
