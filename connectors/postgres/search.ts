/** Hybrid search of one tenant's knowledge, under the role that row security holds to that tenant. */
import type { Knex } from 'knex'
import { classifyPostgres } from './errors.ts'
import { fuse } from './fusion.ts'
import type { RankedChild } from './fusion.ts'
import { searchConfigs } from './search-config.ts'

export interface SearchHit {
  readonly rank: number
  /** 0…1, comparable within one answer only. */
  readonly score: number
  readonly url: string
  readonly title: string
  readonly headingPath: readonly string[]
  /** The parent passage of the child that matched. */
  readonly content: string
}

/** Children fetched from each half before they are fused. */
const CANDIDATES = 60

/** @param vector the question's embedding in pgvector's text form. */
export async function searchKnowledge(
  db: Knex,
  { tenantId, question, vector, k }: { tenantId: string; question: string; vector: string; k: number },
): Promise<SearchHit[]> {
  try {
    return await db.transaction(async (trx) => {
      await trx.raw('set local role sluice_reader')
      // Transaction-local: a session-wide setting would leak to the next user of the pooled connection.
      await trx.raw(
        `select set_config('sluice.tenant_id', ?, true), set_config('hnsw.iterative_scan', 'strict_order', true)`,
        [tenantId],
      )
      const fused = fuse(await byVector(trx, vector), await byText(trx, question), k)
      const passages = await fetchPassages(
        trx,
        fused.map(({ id }) => id),
      )
      return fused.flatMap(({ id, score }, index) => {
        const passage = passages.get(id)
        return passage ? [{ rank: index + 1, score: Math.round(score * 1e4) / 1e4, ...passage }] : []
      })
    })
  } catch (error) {
    throw classifyPostgres(error)
  }
}

interface ChildRow {
  id: string
  parent_key: string
  score: number
}
const toRanked = (rows: ChildRow[]): RankedChild[] =>
  rows.map(({ id, parent_key, score }) => ({ id, parentKey: parent_key, score: Number(score) }))

async function byVector(trx: Knex, vector: string): Promise<RankedChild[]> {
  const { rows } = await trx.raw(
    `select id, coalesce(parent_id, id) as parent_key, 1 - (embedding <=> ?::halfvec) as score
     from tenant_knowledge where embedding is not null
     order by embedding <=> ?::halfvec limit ?`,
    [vector, vector, CANDIDATES],
  )
  return toRanked(rows as ChildRow[])
}

/**
 * Any of the question's words, not all of them: a question holds words that its answer does not. A tenant's pages may be
 * in several languages, each stemmed in its own way, so the question is stemmed in all of them.
 */
async function byText(trx: Knex, question: string): Promise<RankedChild[]> {
  const { rows } = await trx.raw(
    `with query as (
       select string_agg(distinct quote_literal(lexeme), ' | ')::tsquery as q
       from unnest(?::text[]) as c (config), unnest(to_tsvector(c.config::regconfig, ?))
     )
     select id, coalesce(parent_id, id) as parent_key, ts_rank(search_vector, q, 1) as score
     from tenant_knowledge, query where embedding is not null and search_vector @@ q
     order by 3 desc, id limit ?`,
    [[...searchConfigs], question, CANDIDATES],
  )
  return toRanked(rows as ChildRow[])
}

type Passage = Omit<SearchHit, 'rank' | 'score'>

async function fetchPassages(trx: Knex, ids: readonly string[]): Promise<Map<string, Passage>> {
  const rows = await trx('knowledge').select('id', 'url', 'title', 'heading_path', 'parent_content').whereIn('id', ids)
  return new Map(
    (
      rows as { id: string; url: string | null; title: string | null; heading_path: string[]; parent_content: string }[]
    ).map((row) => [
      row.id,
      { url: row.url ?? '', title: row.title ?? '', headingPath: row.heading_path, content: row.parent_content },
    ]),
  )
}
