/** Where what this process asks of its dependencies can be seen, by metrics that are made after the clients. */
import type { RequestReport } from '../connectors/embeddings/embeddings.ts'
import type { createPassage } from '../connectors/postgres/gated.ts'

export interface Probe {
  readonly embeddingRequest: (report: RequestReport) => void
  /** Tokens billed for a tenant. */
  readonly tokensBought: (tenantId: string, tokens: number) => void
  /** `kind`: read, vectors, write, frontier…; without the wait at the gate. */
  readonly databaseCall: (call: { readonly kind: string; readonly ok: boolean; readonly ms: number }) => void
}

export interface Probes extends Probe {
  readonly add: (probe: Probe) => void
}

export function createProbes(): Probes {
  const probes: Probe[] = []
  return {
    add: (probe) => void probes.push(probe),
    embeddingRequest: (report) => probes.forEach((probe) => probe.embeddingRequest(report)),
    tokensBought: (tenantId, tokens) => probes.forEach((probe) => probe.tokensBought(tenantId, tokens)),
    databaseCall: (call) => probes.forEach((probe) => probe.databaseCall(call)),
  }
}

type Passage = ReturnType<typeof createPassage>

export const timedPassage =
  (passage: Passage, probes: Probes): Passage =>
  (call, work) =>
    passage(call, async () => {
      const startedMs = performance.now()
      const tell = (ok: boolean) =>
        probes.databaseCall({ kind: call.class.split('-')[0]!, ok, ms: performance.now() - startedMs })
      try {
        const result = await work()
        tell(true)
        return result
      } catch (error) {
        tell(false)
        throw error
      }
    })
