/**
 * Everything the pipeline asks of Postgres passes one gate, so that what is in flight there stays within its budget; and
 * every answer tells the circuit breaker how Postgres is. Outside of it, on purpose: claims (a partition must become
 * ready to be a probe) and the leases of the budgets themselves.
 */
import type { Frontier } from '../../streams/1-crawler/ports.ts'
import { DependencyUnavailable, errorMessage } from '../../streams/errors.ts'
import type { Ask, Gate, Lane } from '../../streams/throttle/ports.ts'
import { classifyPostgres } from './errors.ts'
import type { KnowledgeStore } from './store.ts'

export interface PostgresGate {
  readonly gate: Gate
  readonly breaker: {
    readonly succeeded: (request: { readonly sentMs: number }) => void
    readonly failed: (failure: { readonly message: string; readonly sentMs: number }) => void
  }
  readonly now: () => number
  /** live unless told. */
  readonly lane?: Lane
}

/** Latencies compare within a class: a read, a write of up to 2^n rows. */
type Call = Pick<Ask, 'tenantId' | 'cost'> & { readonly class: string }

export function createPassage({ gate, breaker, now, lane = 'live' }: PostgresGate) {
  return async <T>({ tenantId, cost, class: kind }: Call, work: () => Promise<T>): Promise<T> => {
    const release = await gate.acquire({ tenantId, cost, lane })
    const startedMs = now()
    const latency = () => ({ latencyMs: now() - startedMs, class: kind })
    try {
      const result = await work()
      release({ kind: 'ok', ...latency() })
      breaker.succeeded({ sentMs: startedMs })
      return result
    } catch (error) {
      const failure = classifyPostgres(error)
      const away = failure instanceof DependencyUnavailable
      release({ kind: away ? 'unavailable' : 'rejected', ...latency() })
      if (away) breaker.failed({ message: errorMessage(failure), sentMs: startedMs })
      // It answered, if only that it does not like this: it is there.
      else breaker.succeeded({ sentMs: startedMs })
      throw error
    }
  }
}

export function createGatedStore(store: KnowledgeStore, passage: ReturnType<typeof createPassage>): KnowledgeStore {
  return {
    claim: store.claim,
    transact: (group, writes, ledger) => {
      const rows = writes.reduce(
        (sum, write) => sum + (write.type === 'page' ? write.rows.length : write.urls.length),
        1,
      )
      // Many tenants share a transaction: who is in it was decided where their records were started.
      const call = { tenantId: '', cost: rows, class: `write-${Math.ceil(Math.log2(rows))}` }
      return passage(call, () => store.transact(group, writes, ledger))
    },
    readSource: (tenantId, sourceId) =>
      passage({ tenantId, cost: 1, class: 'read' }, () => store.readSource(tenantId, sourceId)),
    storedVectors: (tenantId, hashes) =>
      passage({ tenantId, cost: hashes.length, class: `vectors-${Math.ceil(Math.log2(hashes.length + 1))}` }, () =>
        store.storedVectors(tenantId, hashes),
      ),
  }
}

export function createGatedFrontier(frontier: Frontier, passage: ReturnType<typeof createPassage>): Frontier {
  const call = (name: string, tenantId = '') => ({ tenantId, cost: 1, class: `frontier-${name}` })
  return {
    ...frontier,
    lease: (ask) => passage(call('lease'), () => frontier.lease(ask)),
    complete: (lease, result) => passage(call('complete', lease.tenantId), () => frontier.complete(lease, result)),
    retryLater: (lease, result) => passage(call('later', lease.tenantId), () => frontier.retryLater(lease, result)),
    release: (lease, delayMs) => passage(call('release', lease.tenantId), () => frontier.release(lease, delayMs)),
  }
}
