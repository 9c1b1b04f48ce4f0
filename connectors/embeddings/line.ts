/**
 * Inputs that stand at the gate together: those of all tenants, or of one that has a limit of its own and must hold up
 * nobody else. The gate is asked for about what waits; WHAT goes is chosen when it opens, so that a live page or another
 * tenant's that came meanwhile still goes with it. What was sent beyond what was asked for (an input is not split) is
 * asked for with the next request: over time the rate's account is exact, at any moment it is off by an input.
 */
import type { Clock } from '../../streams/runtime/ports.ts'
import type { Ask, Gate, Release } from '../../streams/throttle/ports.ts'
import { tokensOf } from './queue.ts'
import type { Batch, Item, Queue } from './queue.ts'

/** Names of the rates in `Ask.takes`. */
export const REQUESTS_RATE = 'embedding_requests'
export const TOKENS_RATE = 'embedding_tokens'

interface Deps {
  /** Whose limit holds; '' for the line that tenants share: fairness between them is the queue's. */
  readonly tenantId: string
  readonly queue: Queue
  readonly gate: Gate
  readonly clock: Clock
  readonly lingerMs: number
  /** Tokens wished for in a request; null: whatever waits. */
  readonly wish: () => number | null
  /** Starts the request; `again` takes back what is to be sent once more. */
  readonly send: (batch: Batch, release: Release, again: (batches: readonly Batch[]) => void) => void
}

export type Line = ReturnType<typeof createLine>

export function createLine({ tenantId, queue, gate, clock, lingerMs, wish, send }: Deps) {
  let lingered = false
  let pumping = false
  let cancelLinger: (() => void) | undefined
  let standing: { readonly ask: Ask; readonly withdraw: AbortController } | undefined
  /** Tokens sent that were not asked for; negative: asked for and not sent. */
  let unpaid = 0

  async function pump() {
    if (pumping) return
    pumping = true
    while (!queue.isEmpty() && (lingered || queue.isFull(wish()))) await passOne()
    pumping = false
    if (queue.isEmpty()) lingered = false
    else linger()
  }

  async function passOne() {
    const ask = nextAsk()
    const release = await enter(ask)
    if (!release) return
    const batch = queue.take(ask.cost)
    if (!batch) return release({ kind: 'unsent', latencyMs: 0 })
    unpaid += tokensOf(batch.items) - (ask.takes?.[TOKENS_RATE] ?? 0)
    send(batch, release, again)
  }

  const nextAsk = (): Ask => {
    const cost = queue.expected(wish())
    const takes = { [REQUESTS_RATE]: 1, [TOKENS_RATE]: Math.max(0, cost + unpaid) }
    return { tenantId, lane: queue.lane(), cost, takes }
  }

  /** undefined: ask anew, or nobody waits any more. */
  async function enter(ask: Ask): Promise<Release | undefined> {
    const withdraw = new AbortController()
    standing = { ask, withdraw }
    try {
      return await gate.acquire(ask, withdraw.signal)
    } catch (error) {
      // Shut: nobody who waits would fare better.
      if (!withdraw.signal.aborted) for (const job of queue.jobs()) job.fail(error)
      return undefined
    } finally {
      standing = undefined
    }
  }

  /**
   * An ask that no longer says what would go is withdrawn and made anew. Only at twice its size, so that it is made
   * some 10 times at most, however many pages come while it stands.
   */
  function reconsider() {
    if (!standing) return
    const { ask, withdraw } = standing
    const grown = queue.expected(wish()) >= 2 * ask.cost
    const urgent = ask.lane === 'replay' && queue.lane() === 'live'
    if (queue.isEmpty() || grown || urgent) withdraw.abort()
  }

  function linger() {
    if (queue.isEmpty() || pumping || cancelLinger) return
    cancelLinger = clock.after(lingerMs, () => {
      cancelLinger = undefined
      lingered = true
      void pump()
    })
  }

  function changed() {
    reconsider()
    if (queue.isFull(wish())) void pump()
    else linger()
  }

  const again = (batches: readonly Batch[]) => {
    queue.putBack(batches)
    changed()
  }

  return {
    add: (items: readonly Item[]) => {
      const [first] = items
      if (!first) return
      queue.add(first.job.lane, first.job.tenantId, items)
      changed()
    },
    dropUnwanted: () => {
      queue.dropUnwanted()
      reconsider()
    },
    /** Tokens of its next request. */
    expected: () => queue.expected(wish()),
    close: () => {
      cancelLinger?.()
      standing?.withdraw.abort()
    },
  }
}
