/** Vectors from an OpenAI-compatible server, in batches over pages and tenants. */
import type { EmbeddingInput } from '../../streams/3-chunker/chunker.ts'
import { countTokens } from '../../streams/3-chunker/tokens.ts'
import { DependencyUnavailable, StageError } from '../../streams/errors.ts'
import { systemClock } from '../../streams/runtime/ports.ts'
import type { Clock } from '../../streams/runtime/ports.ts'
import { createDelivery } from './delivery.ts'
import { createInFlightGate } from './gate.ts'
import type { RequestGate } from './gate.ts'
import { createQueue } from './queue.ts'
import type { BatchLimits, Item, Job } from './queue.ts'
import { createRequest } from './request.ts'
import type { RequestSettings, SendRequest } from './request.ts'

export interface EmbeddingsSettings extends RequestSettings, BatchLimits {
  readonly maxTokensPerInput: number
  readonly lingerMs: number
  readonly maxInFlight: number
}

export interface EmbeddingsSeams {
  readonly clock?: Clock
  readonly gate?: RequestGate
  readonly send?: SendRequest
  /** Tokens billed, after each request, for each tenant in it. */
  readonly onUsage?: (tenantId: string, tokens: number) => void
}

export interface Embedded {
  /** pgvector's text form, in the order of the inputs. */
  readonly vectors: readonly string[]
  readonly tokens: number
}

export interface Embeddings {
  /**
   * @throws StageError embedding_rejected (an input is not taken), embedding_invalid (its vector is unusable;
   * retriable): this page's own. DependencyUnavailable('embeddings'): everybody's. The signal's reason when aborted.
   */
  readonly embed: (tenantId: string, inputs: readonly EmbeddingInput[], signal: AbortSignal) => Promise<Embedded>
  /** One question's vector. @throws as `embed`. */
  readonly embedQuery: (tenantId: string, question: string, signal?: AbortSignal) => Promise<string>
  /** Ends requests under way; what waits fails with DependencyUnavailable. */
  readonly close: () => Promise<void>
}

export function createEmbeddings(settings: EmbeddingsSettings, seams: EmbeddingsSeams = {}): Embeddings {
  const clock = seams.clock ?? systemClock
  const gate = seams.gate ?? createInFlightGate(settings.maxInFlight)
  const queue = createQueue(settings)
  const closing = new AbortController()
  const delivery = createDelivery({
    send: seams.send ?? createRequest(settings),
    gate,
    clock,
    onUsage: seams.onUsage ?? (() => {}),
    signal: closing.signal,
  })
  const jobs = new Set<Job>()
  let lingered = false
  let pumping = false
  let cancelLinger: (() => void) | undefined

  /** One batch at a time stands at the gate; meanwhile the queue gathers company for the next. */
  async function pump() {
    if (pumping) return
    pumping = true
    while (!queue.isEmpty() && (lingered || queue.isFull())) {
      const batch = queue.take()
      if (queue.isEmpty()) lingered = false
      await delivery.dispatch(batch)
    }
    pumping = false
    linger()
  }

  function linger() {
    if (queue.isEmpty() || cancelLinger) return
    cancelLinger = clock.after(settings.lingerMs, () => {
      cancelLinger = undefined
      lingered = true
      void pump()
    })
  }

  function embed(tenantId: string, inputs: readonly EmbeddingInput[], signal: AbortSignal): Promise<Embedded> {
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
        vectors: inputs.map(() => undefined),
        tokens: 0,
        missing: inputs.length,
        settled: false,
        succeed: () => settle(() => resolve({ vectors: job.vectors as string[], tokens: job.tokens })),
        fail: (error) => settle(() => reject(error)),
      }
      const abort = () => {
        job.fail(signal.reason)
        queue.dropUnwanted()
      }
      signal.addEventListener('abort', abort, { once: true })
      jobs.add(job)
      queue.add(inputs.map((input, position) => itemOf(input, job, position)))
      if (queue.isFull()) void pump()
      else linger()
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
      cancelLinger?.()
      closing.abort(closed())
      for (const job of [...jobs]) job.fail(closed())
      queue.dropUnwanted()
      await delivery.idle()
    },
  }
}

const itemOf = (input: EmbeddingInput, job: Job, position: number): Item => ({
  ...input,
  job,
  position,
  load: Math.max(input.tokens, Math.ceil(Buffer.byteLength(input.text) / 4)),
})

/** What every server refuses is refused here, at no cost for the other pages of a batch. */
function refuse(inputs: readonly EmbeddingInput[], maxTokens: number): StageError | undefined {
  for (const { text, tokens } of inputs) {
    if (text === '') return new StageError('embedding_rejected', 'an input is empty')
    if (tokens > maxTokens)
      return new StageError('embedding_rejected', `an input has ${tokens} tokens, the limit is ${maxTokens}`)
  }
  return undefined
}

const closed = () => new DependencyUnavailable('embeddings', 'embeddings: the connector is closed')
