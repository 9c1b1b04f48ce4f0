/** A plain set checker: what must be stored follows from the records that were produced, worked out outside the system. */
import type { Knex } from 'knex'
import type { Admin } from 'kafkajs'
import type { PageProcessed } from '../../schemas/generated/types.ts'
import { chunkBlocks } from '../../streams/3-chunker/chunk.ts'
import { draftRows } from '../../streams/3-chunker/rows.ts'
import type { ChunkerConfig } from '../../streams/3-chunker/rows.ts'
import { stageLag } from '../lag/offsets.ts'

/** `tenant source index hash` of every row that the newest version of each page must have. */
export function expectedRows(pages: readonly PageProcessed[], config: ChunkerConfig): string[] {
  const newest = new Map<string, PageProcessed>()
  for (const page of pages) {
    const key = `${page.tenant_id} ${page.source_id}`
    const known = newest.get(key)
    if (!known || page.version > known.version) newest.set(key, page)
  }
  return [...newest.values()]
    .filter(({ status }) => status === 'FETCHED')
    .flatMap((page) =>
      draftRows(page.title, chunkBlocks(page.blocks, config), config).map(({ row }) =>
        [page.tenant_id, page.source_id, row.chunkIndex, row.contentHash].join(' '),
      ),
    )
    .sort()
}

/** The same of what is stored. Index scans off: a broken unique index must not hide its own duplicates. */
export async function storedRows(db: Knex): Promise<string[]> {
  return db.transaction(async (trx) => {
    await trx.raw('set local enable_indexscan = off')
    await trx.raw('set local enable_indexonlyscan = off')
    await trx.raw('set local enable_bitmapscan = off')
    const rows = await trx('tenant_knowledge').select('tenant_id', 'source_id', 'chunk_index', 'content_hash')
    return rows.map((row) => [row.tenant_id, row.source_id, row.chunk_index, row.content_hash].join(' ')).sort()
  })
}

/** Of the whole table, every column of every row. */
export async function checksum(db: Knex): Promise<string> {
  const { rows } = await db.raw(
    `select md5(coalesce(string_agg(k::text, chr(10) order by id), '')) as sum from tenant_knowledge k`,
  )
  return rows[0].sum
}

export interface InvariantWatch {
  /** Ends the sampling. @returns violations seen, and how many samples were taken. */
  readonly stop: () => Promise<{ violations: string[]; samples: number }>
}

/** Samples committed ≤ ledger for as long as it runs. Committed is read first: the ledger only grows, so a pair that is read in this order can only look better than it was. */
export function watchLedger(admin: Admin, db: Knex, prefix: string): InvariantWatch {
  const violations: string[] = []
  let samples = 0
  let running = true
  const loop = (async () => {
    while (running) {
      const lag = await stageLag(admin, 'chunker', prefix)
      const ledger = await db('stage_offsets')
        .where({ consumer_group: `${prefix}sluice.chunker` })
        .catch(() => null)
      if (!ledger) continue // Postgres is away on purpose
      samples += 1
      for (const { topic, partition, committed } of lag) {
        const row = ledger.find((one) => one.topic === topic && one.partition === partition)
        if (committed !== null && committed > BigInt(row?.next_offset ?? 0))
          violations.push(`${topic}/${partition}: committed ${committed} > ledger ${row?.next_offset}`)
      }
    }
  })()
  return {
    stop: async () => {
      running = false
      await loop
      return { violations, samples }
    },
  }
}
