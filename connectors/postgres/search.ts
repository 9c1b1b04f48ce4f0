/** Hybrid search of one tenant's knowledge, under the role that row security holds to that tenant. */
import type { Knex } from 'knex'
import { classifyPostgres } from './errors.ts'
import { fuse } from './fusion.ts'
import type { Candidate } from './fusion.ts'
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

export interface Question {
  readonly tenantId: string
  readonly question: string
  /** The question's embedding in pgvector's text form. */
  readonly vector: string
  /** What made it. Vectors of other models are strangers to it: their rows are found by their words alone. */
  readonly model: string
}

/** Children fetched from each half before they are fused. */
const CANDIDATES = 100
/**
 * Matches that are weighed. Beyond it the rest is left out unseen, so that a question of common words to a tenant of
 * millions of rows has a bounded cost; the vectors still see all of them.
 */
const MAX_MATCHES = 20_000
/**
 * What a child's passage and its page hold of the question counts this much beside what it holds itself. On twenty
 * questions to a manual of 1,169 pages the text half's MRR rose from 0.53 to 0.66 with it; 0.3 did as well.
 */
const NEIGHBOURS = 0.5
/** A question's beginning says what is asked; beyond it a pasted page would only cost. UTF-16 units and terms. */
const MAX_QUESTION = 2_000
const MAX_TERMS = 48

export async function searchKnowledge(db: Knex, asked: Question & { readonly k: number }): Promise<SearchHit[]> {
  return asReader(db, asked.tenantId, async (trx) => {
    const hits = fuse(await findCandidates(trx, asked), asked.k)
    const passages = await fetchPassages(
      trx,
      hits.map(({ id }) => id),
    )
    return hits.flatMap(({ id, score }, index) => {
      const passage = passages.get(id)
      return passage ? [{ rank: index + 1, score: Math.round(score * 1e4) / 1e4, ...passage }] : []
    })
  })
}

/** Runs `work` as the role that sees this tenant's rows only. @throws what `classifyPostgres` makes of its errors. */
export async function asReader<T>(db: Knex, tenantId: string, work: (trx: Knex) => Promise<T>): Promise<T> {
  try {
    return await db.transaction(async (trx) => {
      await trx.raw('set local role sluice_reader')
      // Transaction-local: a session-wide setting would leak to the next user of the pooled connection.
      await trx.raw(
        `select set_config('sluice.tenant_id', ?, true), set_config('hnsw.iterative_scan', 'strict_order', true),
                set_config('hnsw.ef_search', ?, true)`,
        [tenantId, String(CANDIDATES)],
      )
      return work(trx)
    })
  } catch (error) {
    throw classifyPostgres(error)
  }
}

/** The best children of either half, each with the scores of both. */
export async function findCandidates(trx: Knex, { question, vector, model }: Question): Promise<Candidate[]> {
  const near = await nearest(trx, vector, models(model))
  const { rows } = await trx.raw(TEXT_AND_VECTOR, {
    configs: [...searchConfigs],
    // Postgres' text holds no NUL.
    question: question.slice(0, MAX_QUESTION).replaceAll('\0', ' '),
    maxTerms: MAX_TERMS,
    maxMatches: MAX_MATCHES,
    candidates: CANDIDATES,
    neighbours: NEIGHBOURS,
    near,
    vector,
    models: models(model),
  })
  return rows as Candidate[]
}

/** Rows written by hand may name no model: they are taken for ones of today's. */
const models = (model: string): string[] => [model, '']

/** Where the index gives up (`hnsw.max_scan_tuples`) before it meets enough rows of a small tenant, all are compared. */
async function nearest(trx: Knex, vector: string, ofModels: string[]): Promise<string[]> {
  const ids = async (distance: string) => {
    const { rows } = await trx.raw<{ rows: { id: string }[] }>(
      `select id from tenant_knowledge where embedding is not null and embedding_model = any(?)
       order by ${distance} limit ?`,
      [ofModels, vector, CANDIDATES],
    )
    return rows.map(({ id }) => id)
  }
  const found = await ids('embedding <=> ?::halfvec')
  return found.length < CANDIDATES ? ids('(embedding <=> ?::halfvec) + 0') : found
}

/**
 * Any of the question's words, not all of them: a question holds words that its answer does not. What tells the words
 * apart is how rare they are among this tenant's children (inverse document frequency). A tenant's pages may be in
 * several languages, each stemmed in its own way, so the question is stemmed in all of them, and each page is asked for
 * the stems of its own. Neighbours in the question that are neighbours in the page count as one more, rare, term.
 *
 * Lexemes are quoted as tsquery wants it, whatever they hold: quotes and backslashes doubled.
 */
const TEXT_AND_VECTOR = `
  with word as materialized (
    select c.config::regconfig as config, w.lexeme, least(w.positions[1], 16383) as place,
           ('''' || replace(replace(w.lexeme, '\\', '\\\\'), '''', '''''') || '''')::tsquery as q
    from unnest(:configs::text[]) as c (config), unnest(to_tsvector(c.config::regconfig, :question)) as w
    where w.positions[1] <= :maxTerms
  ), term as materialized (
    select row_number() over () as n, t.* from (
      select config, q, 1.0 as share from word
      union all
      select a.config, tsquery_phrase(a.q, b.q, b.place - a.place), 0.3
      from word a join word b on b.config = a.config and b.place - a.place between 1 and 2
    ) t
  ), match as materialized (
    -- Concatenation unpacks the stored tsvector once, not once a term.
    select m.id, coalesce(m.parent_id, m.id) as parent, coalesce(m.source_id, m.id) as source,
           m.search_config, m.search_vector || ''::tsvector as v
    from sluice_text_matches((select string_agg(distinct q::text, ' | ')::tsquery from word), :maxMatches) m
  ), found as materialized (
    select m.id, m.parent, m.source, t.n, ts_rank('{0.6, 0.6, 1, 1}', m.v, t.q) as frequency
    from match m join term t on t.config = m.search_config and m.v @@ t.q
  ), weighed as materialized (
    select t.*, t.share * ln(1 + (total.n - coalesce(f.n, 0) + 0.5) / (coalesce(f.n, 0) + 0.5)) as weight
    from term t left join (select n as term, count(*) as n from found group by 1) f on f.term = t.n,
      (select greatest((select coalesce(sum(chunk_count), 0) from sources), (select count(*) from match)) as n) total
  ), worth as materialized (
    select f.id, f.parent, f.source, f.n, w.weight * f.frequency as worth from found f join weighed w using (n)
  ), passage as (
    select parent, sum(worth) as worth
    from (select parent, max(worth) as worth from worth group by parent, n) best group by parent
  ), page as (
    select source, sum(worth) as worth
    from (select source, max(worth) as worth from worth group by source, n) best group by source
  ), scored as materialized (
    select child.id,
           (child.worth + :neighbours::float * (passage.worth + page.worth)) / (1 + 2 * :neighbours::float) as score
    from (select id, parent, source, sum(worth) as worth from worth group by id, parent, source) child
    join passage using (parent) join page using (source)
  ), chosen as (
    select id from (select id from scored order by score desc, id limit :candidates) best
    union
    select unnest(:near::uuid[])
  ), asked as (
    select config, sum(weight) filter (where share = 1) as weight from weighed group by config
  )
  select k.id, coalesce(k.parent_id, k.id) as "parentKey", k.embedding_model as model,
         case when k.embedding_model = any(:models) then 1 - (k.embedding <=> :vector::halfvec) end as similarity,
         coalesce(s.score / a.weight, 0)::float as text,
         coalesce((
           select sum(w.weight) from weighed w
           where w.config = k.search_config and to_tsvector(k.search_config, p.title) @@ w.q
         ) / a.weight, 0)::float as title
  from chosen c
  join tenant_knowledge k on k.id = c.id
  left join sources p on p.tenant_id = k.tenant_id and p.id = k.source_id
  left join scored s on s.id = k.id
  left join asked a on a.config = k.search_config`

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
