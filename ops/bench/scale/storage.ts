/** What a page costs in Postgres: bytes by table and index, and how fast pages are written with and without the HNSW index. */
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Knex } from 'knex'
import { v5 } from 'uuid'
import { createStore } from '../../../connectors/postgres/store.ts'
import type { Block } from '../../../schemas/generated/types.ts'
import { chunkBlocks } from '../../../streams/3-chunker/chunk.ts'
import { CHUNKER_VERSION, configFingerprint, draftRows } from '../../../streams/3-chunker/rows.ts'
import type { ChunkerConfig } from '../../../streams/3-chunker/rows.ts'
import type { PageWrite } from '../../../streams/writes.ts'
import { seeded } from '../../../streams/throttle/seeded.ts'
import { defaults } from '../../config.ts'

const NAMESPACE = '6ba7b811-9dad-11d1-80b4-00c04fd430c8'
/** Pages in one transaction, as the runtime groups them. */
const GROUP = 16

export interface Written {
  readonly rows: number
  readonly pagesPerSecond: number
}

export interface PageShape {
  readonly pages: number
  /** About 1,750 make the 2,400 tokens of a mean article page. */
  readonly words: number
  readonly dimensions: number
  readonly tenant: string
}

/** Prose of this project's own papers, cut anew for each page, so that words and compression are those of a language. */
export async function writePages(db: Knex, { pages, words, dimensions, tenant }: PageShape): Promise<Written> {
  const random = seeded(pages)
  const config = { ...defaults.chunker, model: 'bench', dimensions }
  const sentences = prose()
  const store = createStore(db)
  const writes = Array.from({ length: pages }, (_, n) => {
    const blocks = paragraphs(sentences, words, random)
    return toWrite({ tenant, n, blocks, config, vector: () => randomVector(dimensions, random) })
  })
  const began = performance.now()
  for (let at = 0; at < writes.length; at += GROUP) await store.transact('bench', writes.slice(at, at + GROUP), [])
  const rows = writes.reduce((sum, write) => sum + write.rows.length, 0)
  return { rows, pagesPerSecond: pages / ((performance.now() - began) / 1_000) }
}

interface Page {
  readonly tenant: string
  readonly n: number
  readonly blocks: readonly Block[]
  readonly config: ChunkerConfig
  readonly vector: () => string
}

function toWrite({ tenant, n, blocks, config, vector }: Page): PageWrite {
  const url = `https://${tenant}.example/articles/${n}`
  const drafts = draftRows(`Article ${n}`, chunkBlocks(blocks, config), config)
  return {
    ...{ type: 'page', tenantId: tenant, sourceId: v5(url, NAMESPACE), url, canonicalUrl: url },
    ...{ chunkType: 'website', status: 'active', title: `Article ${n}`, language: 'en', version: 1n },
    ...{ extractorVersion: 1, contentHash: v5(url, NAMESPACE), chunkerVersion: CHUNKER_VERSION, tokensBought: 0 },
    ...{ configFingerprint: configFingerprint(config), embeddingModel: config.model, fetchedAt: 0n, crawlId: 'bench' },
    rows: drafts.map(({ row, input }) => ({ ...row, embedding: input && vector() })),
  }
}

function paragraphs(sentences: readonly string[], words: number, random: () => number): Block[] {
  const blocks: Block[] = []
  for (let left = words; left > 0;) {
    const text = Array.from({ length: 5 }, () => sentences[Math.floor(random() * sentences.length)]!).join(' ')
    blocks.push({ kind: 'PARAGRAPH', text, level: 0, lang: '' })
    left -= text.split(' ').length
  }
  return blocks
}

function prose(): string[] {
  const folder = join(import.meta.dirname, '..', '..', 'docs')
  const text = readdirSync(folder).map((file) => readFileSync(join(folder, file), 'utf8'))
  return text
    .join('\n')
    .replaceAll(/[`*|#]|\n/g, ' ')
    .split(/(?<=\.)\s+/)
    .filter((sentence) => sentence.length > 40 && sentence.length < 300)
}

const randomVector = (dimensions: number, random: () => number): string =>
  `[${Array.from({ length: dimensions }, () => (random() - 0.5).toFixed(4)).join(',')}]`

/** Bytes of tenant_knowledge after a VACUUM: rows, vectors and long texts out of line, and each index. */
export async function sizes(db: Knex): Promise<Record<string, number>> {
  await db.raw('vacuum analyze tenant_knowledge')
  await db.raw('vacuum analyze sources')
  const { rows } = await db.raw<{ rows: { name: string; bytes: string }[] }>(`
    select 'rows' as name, pg_relation_size('tenant_knowledge') as bytes
    union all select 'out of line (vectors)', pg_relation_size(reltoastrelid) + pg_indexes_size(reltoastrelid)
      from pg_class where oid = 'tenant_knowledge'::regclass
    union all select 'sources, with its indexes', pg_total_relation_size('sources')
    union all select indexrelid::regclass::text, pg_relation_size(indexrelid)
      from pg_index where indrelid = 'tenant_knowledge'::regclass`)
  return Object.fromEntries(rows.map(({ name, bytes }) => [name, Number(bytes)]))
}
