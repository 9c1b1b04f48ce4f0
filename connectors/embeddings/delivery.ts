/** A batch → request → every page's vectors; a batch that is refused is halved until the input at fault stands alone. */
import { DependencyUnavailable, StageError } from '../../streams/errors.ts'
import type { Clock } from '../../streams/runtime/ports.ts'
import type { Feedback, Release } from '../../streams/throttle/ports.ts'
import type { TraceHeaders } from '../../streams/trace.ts'
import { classifyFailure } from './failures.ts'
import type { Failure } from './failures.ts'
import type { Pacing } from './pacing.ts'
import { tokensOf } from './queue.ts'
import type { Batch, Item, Job } from './queue.ts'
import type { Reply, SendRequest } from './request.ts'

/** One request, when it is over. */
export interface RequestReport {
  /** 'cut': no answer came (timeout, connection refused or reset). */
  readonly status: number | 'cut'
  readonly latencyMs: number
  readonly inputs: number
  /** By our own count. */
  readonly tokens: number
  /** The batch was sent before and not served. */
  readonly resend: boolean
}

interface Deps {
  readonly send: SendRequest
  readonly clock: Clock
  readonly pacing: Pacing
  readonly onUsage: (tenantId: string, tokens: number) => void
  readonly onRequest: (report: RequestReport) => void
  /** Aborted when the connector closes. */
  readonly signal: AbortSignal
}

type Again = (batches: readonly Batch[]) => void

/** Any server that works takes this. If it refuses this too, it is not the inputs it refuses. */
const HARMLESS = 'test'

export function createDelivery({ send, clock, pacing, onUsage, onRequest, signal }: Deps) {
  const underWay = new Set<Promise<void>>()

  function dispatch(batch: Batch, release: Release, again: Again): void {
    const work: Promise<void> = request(batch, release, again).finally(() => underWay.delete(work))
    underWay.add(work)
  }

  async function request(batch: Batch, release: Release, again: Again): Promise<void> {
    const sentMs = clock.now()
    const { outcome, feedback } = await attempt(batch, sentMs)
    // Before the release: what is to be held back now must not slip through the place that it frees.
    const resend = learn(outcome, batch, sentMs)
    release(feedback)
    if (resend) again([resend])
    else if ('vectors' in outcome) served(batch, outcome)
    else if (outcome.kind === 'rejected') again(suspects(batch, outcome.message))
    else failAll(batch.items, outcome.error)
  }

  async function attempt(batch: Batch, sentMs: number): Promise<{ outcome: Reply | Failure; feedback: Feedback }> {
    const texts = batch.suspect === undefined ? batch.items.map(({ text }) => text) : [HARMLESS]
    const tokens = batch.suspect === undefined ? tokensOf(batch.items) : 1
    const outcome = await send(texts, signal, tracesOf(batch)).catch((error: unknown) =>
      classifyFailure(error, clock.now()),
    )
    const latencyMs = clock.now() - sentMs
    const status = 'vectors' in outcome ? 200 : outcome.status
    onRequest({ status, latencyMs, inputs: texts.length, tokens, resend: batch.resends > 0 })
    return { outcome, feedback: { ...feedbackOf(outcome), latencyMs } }
  }

  /** @returns the batch if it is to be sent again as it is. */
  function learn(outcome: Reply | Failure, batch: Batch, sentMs: number): Batch | undefined {
    if ('vectors' in outcome) pacing.succeeded(outcome.headers, sentMs)
    else if (outcome.kind === 'rejected' && batch.suspect !== undefined) pacing.refused(outcome.message)
    else if (outcome.kind === 'unavailable' && outcome.cause !== 'closed' && pacing.failed(outcome, batch, sentMs))
      return { ...batch, resends: batch.resends + 1, wasCut: batch.wasCut || outcome.cause === 'cut' }
    return undefined
  }

  /** A page goes to the dead letters only if the server takes anything at all; else all of them would, one by one. */
  function suspects(batch: Batch, message: string): Batch[] {
    const { items } = batch
    if (batch.suspect !== undefined) {
      failAll(items, refusesAll(message))
      return []
    }
    if (items.length === 1) return [{ ...batch, suspect: message }]
    const middle = Math.ceil(items.length / 2)
    return [items.slice(0, middle), items.slice(middle)].map((half) => ({ ...batch, items: half }))
  }

  function served(batch: Batch, reply: Reply): void {
    if (batch.suspect === undefined) deliver(batch.items, reply)
    else failAll(batch.items, new StageError('embedding_rejected', `an input was refused: ${batch.suspect}`))
  }

  function deliver(items: readonly Item[], { vectors, tokens }: Reply): void {
    charge(items, tokens ?? tokensOf(items))
    items.forEach(({ job, position }, i) => {
      const vector = vectors[i]
      if (typeof vector !== 'string') job.fail(unusable())
      else {
        job.vectors[position] = vector
        job.missing -= 1
        if (job.missing === 0) job.succeed()
      }
    })
  }

  /** Splits the bill by the inputs' own counts; the shares add up to it exactly. */
  function charge(items: readonly Item[], billed: number): void {
    const counted = tokensOf(items)
    const byTenant = new Map<string, number>()
    let seen = 0
    let charged = 0
    for (const { job, tokens } of items) {
      seen += tokens
      const share = (counted === 0 ? 0 : Math.round((billed * seen) / counted)) - charged
      charged += share
      job.tokens += share
      byTenant.set(job.tenantId, (byTenant.get(job.tenantId) ?? 0) + share)
    }
    for (const [tenantId, tokens] of byTenant) onUsage(tenantId, tokens)
  }

  return {
    dispatch,
    /** Resolves when no request is under way. */
    idle: async () => {
      while (underWay.size > 0) await Promise.allSettled([...underWay])
    },
  }
}

/** One a page, in the order of the inputs. */
function tracesOf({ items }: Batch): TraceHeaders[] {
  const jobs = new Set(items.map(({ job }) => job))
  return [...jobs].flatMap(({ trace }) => trace ?? [])
}

function failAll(items: readonly Item[], error: unknown): void {
  const jobs = new Set<Job>(items.map(({ job }) => job))
  for (const job of jobs) job.fail(error)
}

function feedbackOf(outcome: Reply | Failure): Pick<Feedback, 'kind' | 'retryAfterMs'> {
  if ('vectors' in outcome) return { kind: 'ok' }
  if (outcome.kind === 'rejected') return { kind: 'rejected' }
  const { cause, error } = outcome
  const kind = cause === 'throttled' || cause === 'timeout' ? cause : 'unavailable'
  return { kind, ...(error.retryAfterMs !== undefined && { retryAfterMs: error.retryAfterMs }) }
}

const refusesAll = (message: string) =>
  new DependencyUnavailable('embeddings', `embeddings: the server refuses whatever is sent: ${message}`)

const unusable = () =>
  new StageError('embedding_invalid', 'a vector came back with NaN, infinity or nothing but zeros', { retriable: true })
