/** Writes pages' chunk sets inside one transaction: a reader sees the old set of a page or the new one, never a mix. */
import type { Knex } from 'knex'
import { decideWrite } from '../../streams/3-chunker/versions.ts'
import type { PageWrite, SourceState, WriteResult } from '../../streams/writes.ts'
import { replaceRows } from './chunk-rows.ts'
import { keyOf, lockSources } from './source-rows.ts'
import { lockTenants } from './tenants.ts'

const none = { rows: 0, inserted: 0, deleted: 0, ignored: 0 }

/** @returns one result a write, in the order given. */
export async function writePages(trx: Knex.Transaction, writes: readonly PageWrite[]): Promise<WriteResult[]> {
  // Locks in key order over the batch, else two batches that overlap in opposite order deadlock.
  const ordered = [...writes].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
  // A deleted tenant keeps its row as a tombstone, so that records still in Kafka do not bring it back.
  const deleted = await lockTenants(
    trx,
    ordered.map(({ tenantId }) => tenantId),
  )
  const stored = await lockSources(
    trx,
    ordered.filter(({ tenantId }) => !deleted.has(tenantId)),
  )
  const results = new Map<PageWrite, WriteResult>()
  const winners = new Map<string, PageWrite>()
  for (const write of ordered) {
    const key = keyOf(write)
    if (deleted.has(write.tenantId)) results.set(write, { change: 'refused', ...none })
    else {
      const before = winners.get(key) ?? stored.get(key) ?? null
      const decision = decideWrite(before && stateOf(before), stateOf(write))
      if (decision === 'write') {
        const beaten = winners.get(key)
        if (beaten) results.set(beaten, { change: 'stale', ...none })
        winners.set(key, write)
      } else results.set(write, { change: decision, ...none, rows: write.rows.length })
    }
  }
  for (const [write, result] of await replaceRows(trx, [...winners.values()])) results.set(write, result)
  await countTokens(trx, [...winners.values()])
  return writes.map((write) => results.get(write)!)
}

function stateOf(page: PageWrite | SourceState): SourceState {
  const { version, extractorVersion, contentHash, chunkerVersion, configFingerprint, status } = page
  return { version, extractorVersion, contentHash, chunkerVersion, configFingerprint, status }
}

/** What was bought from the embeddings API, per tenant; in key order, as every lock is. */
async function countTokens(trx: Knex.Transaction, writes: readonly PageWrite[]): Promise<void> {
  const bought = new Map<string, number>()
  for (const { tenantId, tokensBought } of writes) bought.set(tenantId, (bought.get(tenantId) ?? 0) + tokensBought)
  const tenants = [...bought].filter(([, tokens]) => tokens > 0).sort(([a], [b]) => (a < b ? -1 : 1))
  for (const [id, tokens] of tenants) await trx('tenants').where({ id }).increment('tokens_bought', tokens)
}
