/** A batch → request → every page's vectors; a batch that is refused is halved until the input at fault stands alone. */
import { DependencyUnavailable, StageError } from '../../streams/errors.ts'
import type { Clock } from '../../streams/runtime/ports.ts'
import { classifyFailure } from './failures.ts'
import type { Failure } from './failures.ts'
import type { RequestFeedback, RequestGate } from './gate.ts'
import { isWanted, loadOf } from './queue.ts'
import type { Item, Job } from './queue.ts'
import type { Reply, SendRequest } from './request.ts'

interface Deps {
  readonly send: SendRequest
  readonly gate: RequestGate
  readonly clock: Clock
  readonly onUsage: (tenantId: string, tokens: number) => void
  /** Aborted when the connector closes. */
  readonly signal: AbortSignal
}

type Release = (feedback: RequestFeedback) => void

/** Any server that works takes this. If it refuses this too, it is not the inputs it refuses. */
const HARMLESS = 'test'

export function createDelivery({ send, gate, clock, onUsage, signal }: Deps) {
  const underWay = new Set<Promise<void>>()

  /** Resolves when the request has left (or none was needed), not when it is answered. */
  async function dispatch(batch: readonly Item[]): Promise<void> {
    const release = await enter(batch)
    if (!release) return
    const work: Promise<void> = request(batch.filter(isWanted), release).finally(() => underWay.delete(work))
    underWay.add(work)
  }

  /** undefined: nobody wants the answer any more, or nobody may send. */
  async function enter(batch: readonly Item[]): Promise<Release | undefined> {
    const wanted = batch.filter(isWanted)
    if (wanted.length === 0) return undefined
    try {
      const release = await gate.acquire({ inputs: wanted.length, tokens: loadOf(wanted) })
      if (batch.some(isWanted)) return release
      release({ kind: 'unsent', latencyMs: 0 })
    } catch (error) {
      failAll(wanted, error)
    }
    return undefined
  }

  async function request(batch: readonly Item[], release: Release): Promise<void> {
    const texts = batch.map(({ text }) => text)
    const outcome = await attempt(texts, release)
    if ('vectors' in outcome) deliver(batch, outcome)
    else if (outcome.kind === 'unavailable') failAll(batch, outcome.error)
    else if (batch.length === 1) await rejectAlone(batch, outcome.message)
    else await halve(batch)
  }

  async function attempt(texts: readonly string[], release: Release): Promise<Reply | Failure> {
    const began = clock.now()
    try {
      const reply = await send(texts, signal)
      release({ kind: 'ok', latencyMs: clock.now() - began, headers: reply.headers })
      return reply
    } catch (error) {
      const failure = classifyFailure(error, clock.now())
      release({ ...feedbackOf(failure), latencyMs: clock.now() - began })
      return failure
    }
  }

  async function halve(batch: readonly Item[]): Promise<void> {
    const middle = Math.ceil(batch.length / 2)
    for (const half of [batch.slice(0, middle), batch.slice(middle)]) {
      const release = await enter(half)
      if (release) await request(half.filter(isWanted), release)
    }
  }

  /** A page goes to the dead letters only if the server takes anything at all; else all of them would, one by one. */
  async function rejectAlone(batch: readonly Item[], message: string): Promise<void> {
    const release = await enter(batch)
    if (!release) return
    const outcome = await attempt([HARMLESS], release)
    if ('vectors' in outcome) failAll(batch, new StageError('embedding_rejected', `an input was refused: ${message}`))
    else failAll(batch, outcome.kind === 'unavailable' ? outcome.error : refusesAll(message))
  }

  function deliver(batch: readonly Item[], { vectors, tokens }: Reply): void {
    charge(batch, tokens ?? batch.reduce((sum, item) => sum + item.tokens, 0))
    batch.forEach(({ job, position }, i) => {
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
  function charge(batch: readonly Item[], billed: number): void {
    const counted = batch.reduce((sum, { tokens }) => sum + tokens, 0)
    const byTenant = new Map<string, number>()
    let seen = 0
    let charged = 0
    for (const { job, tokens } of batch) {
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

function failAll(batch: readonly Item[], error: unknown): void {
  const jobs = new Set<Job>(batch.map(({ job }) => job))
  for (const job of jobs) job.fail(error)
}

function feedbackOf(failure: Failure): Omit<RequestFeedback, 'latencyMs'> {
  if (failure.kind === 'rejected') return { kind: 'rejected' }
  const { retryAfterMs } = failure.error
  return { kind: failure.throttled ? 'throttled' : 'unavailable', ...(retryAfterMs !== undefined && { retryAfterMs }) }
}

const refusesAll = (message: string) =>
  new DependencyUnavailable('embeddings', `embeddings: the server refuses whatever is sent: ${message}`)

const unusable = () =>
  new StageError('embedding_invalid', 'a vector came back with NaN, infinity or nothing but zeros', { retriable: true })
