/** Vectors from an OpenAI-compatible server, in batches over pages and tenants. */
import type { EmbeddingInput } from '../../streams/3-chunker/chunker.ts'
import { countTokens } from '../../streams/3-chunker/tokens.ts'
import { DependencyUnavailable } from '../../streams/errors.ts'
import { systemClock } from '../../streams/runtime/ports.ts'
import type { Clock } from '../../streams/runtime/ports.ts'
import { createGate } from '../../streams/throttle/gate.ts'
import type { Gate, Lane } from '../../streams/throttle/ports.ts'
import type { TraceHeaders } from '../../streams/trace.ts'
import { createDelivery } from './delivery.ts'
import type { RequestReport } from './delivery.ts'
import { itemOf, refuse } from './inputs.ts'
import { createLine } from './line.ts'
import type { Line } from './line.ts'
import { createPacing } from './pacing.ts'
import type { Breaker, LearnedLimits } from './pacing.ts'
import { createQueue } from './queue.ts'
import type { BatchLimits, Job } from './queue.ts'
import { createRequest } from './request.ts'
import type { RequestSettings, SendRequest } from './request.ts'

export interface EmbeddingsSettings extends RequestSettings, BatchLimits {
  readonly maxTokensPerInput: number
  readonly lingerMs: number
  /** Where no gate is given: requests of this process under way at once, 4 unless told. */
  readonly maxInFlight?: number | undefined
}

export type { Breaker, LearnedLimits, RequestReport }

export interface EmbeddingsSeams {
  readonly clock?: Clock
  readonly gate?: Gate
  readonly send?: SendRequest
  readonly random?: () => number
  /** The trace of whoever calls `embed`. */
  readonly currentTrace?: () => TraceHeaders | undefined
  readonly breaker?: Breaker
  /** Tenants with a limit of their own are sent apart, so that the gate can hold just them. */
  readonly tenantLimited?: (tenantId: string) => boolean
  /** Tokens wished for in a request, so that the token rate binds and not that of requests; null: whatever waits. */
  readonly batchTokens?: (tenantId: string) => number | null
  /** Tokens billed, after each request, for each tenant in it. */
  readonly onUsage?: (tenantId: string, tokens: number) => void
  readonly onRequest?: (report: RequestReport) => void
  /** Called when the provider names other totals than before (`x-ratelimit-limit-*`). */
  readonly onLimits?: (limits: LearnedLimits) => void
}

export interface Embedded {
  /** pgvector's text form, in the order of the inputs. */
  readonly vectors: readonly string[]
  readonly tokens: number
}

export interface Embeddings {
  /**
   * `lane`: live unless told; replay gets the tokens that live leaves, a twentieth at least.
   * @throws StageError embedding_rejected (an input is not taken), embedding_invalid (its vector is unusable;
   * retriable): this page's own. DependencyUnavailable('embeddings'): everybody's. The signal's reason when aborted.
   */
  readonly embed: (
    tenantId: string,
    inputs: readonly EmbeddingInput[],
    signal: AbortSignal,
    lane?: Lane,
  ) => Promise<Embedded>
  /** One question's vector. @throws as `embed`. */
  readonly embedQuery: (tenantId: string, question: string, signal?: AbortSignal) => Promise<string>
  /** Ends requests under way; what waits fails with DependencyUnavailable. */
  readonly close: () => Promise<void>
}

export function createEmbeddings(settings: EmbeddingsSettings, seams: EmbeddingsSeams = {}): Embeddings {
  const clock = seams.clock ?? systemClock
  const gate =
    seams.gate ?? createGate({ name: 'embeddings', clock, budgets: [], localSlots: settings.maxInFlight ?? 4 })
  const closing = new AbortController()
  const lines = new Map<string, Line>()
  const jobs = new Set<Job>()
  const pacing = createPacing({
    gate,
    clock,
    random: seams.random ?? Math.random,
    breaker: seams.breaker,
    onLimits: seams.onLimits ?? (() => {}),
    nextTokens: () => Math.max(0, ...[...lines.values()].map((line) => line.expected())),
    isPaced: () => (seams.batchTokens?.('') ?? null) !== null,
  })
  const delivery = createDelivery({
    send: seams.send ?? createRequest(settings),
    clock,
    pacing,
    onUsage: seams.onUsage ?? (() => {}),
    onRequest: seams.onRequest ?? (() => {}),
    signal: closing.signal,
  })

  function lineOf(tenant: string): Line {
    const tenantId = seams.tenantLimited?.(tenant) ? tenant : ''
    const line = lines.get(tenantId) ?? newLine(tenantId)
    lines.set(tenantId, line)
    return line
  }

  const newLine = (tenantId: string): Line =>
    createLine({
      tenantId,
      queue: createQueue(settings),
      gate,
      clock,
      lingerMs: settings.lingerMs,
      wish: () => seams.batchTokens?.(tenantId) ?? null,
      send: delivery.dispatch,
    })

  function embed(
    tenantId: string,
    inputs: readonly EmbeddingInput[],
    signal: AbortSignal,
    lane: Lane = 'live',
  ): Promise<Embedded> {
    const refusal = refuse(inputs, settings.maxTokensPerInput)
    if (refusal) return Promise.reject(refusal)
    if (signal.aborted) return Promise.reject(signal.reason)
    if (closing.signal.aborted) return Promise.reject(closed())
    if (inputs.length === 0) return Promise.resolve({ vectors: [], tokens: 0 })
    return new Promise((resolve, reject) => {
      const settle = (act: () => void) => {
        if (job.settled) return
        job.settled = true
        jobs.delete(job)
        signal.removeEventListener('abort', abort)
        act()
      }
      const job: Job = {
        tenantId,
        lane,
        trace: seams.currentTrace?.(),
        vectors: inputs.map(() => undefined),
        tokens: 0,
        missing: inputs.length,
        settled: false,
        succeed: () => settle(() => resolve({ vectors: job.vectors as string[], tokens: job.tokens })),
        fail: (error) =>
          settle(() => {
            line.dropUnwanted()
            reject(error)
          }),
      }
      const abort = () => job.fail(signal.reason)
      const line = lineOf(tenantId)
      signal.addEventListener('abort', abort, { once: true })
      jobs.add(job)
      line.add(inputs.map((input, position) => itemOf(input, job, position)))
    })
  }

  return {
    embed,
    embedQuery: async (tenantId, question, signal = closing.signal) => {
      const text = question.toWellFormed().normalize('NFC').replaceAll('\0', '').trim()
      const { vectors } = await embed(tenantId, [{ text, tokens: countTokens(text) }], signal)
      return vectors[0] as string
    },
    close: async () => {
      closing.abort(closed())
      for (const line of lines.values()) line.close()
      for (const job of [...jobs]) job.fail(closed())
      await delivery.idle()
    },
  }
}

const closed = () => new DependencyUnavailable('embeddings', 'embeddings: the connector is closed')
