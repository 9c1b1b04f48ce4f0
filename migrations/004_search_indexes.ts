/** HNSW over the embeddings (cosine) and GIN over the full text: the two halves of hybrid search. */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  if (!(await isWebAssembly(knex)))
    await knex.raw(`
      create index tenant_knowledge_by_embedding on tenant_knowledge
      using hnsw (embedding halfvec_cosine_ops) where embedding is not null`)
  await knex.raw(`
    create index tenant_knowledge_by_text on tenant_knowledge
    using gin (search_vector) where embedding is not null`)
}

/**
 * WebAssembly has no instruction for half floats: PGlite took 40 ms a row to maintain this index at 512 dimensions, 0.4 ms
 * without it, and 9 µs a row to compare exactly. Up to tens of thousands of rows it is better off without.
 */
async function isWebAssembly(knex: Knex): Promise<boolean> {
  const { rows } = await knex.raw<{ rows: { version: string }[] }>('select version() as version')
  return /emcc|emscripten|wasm/i.test(rows[0]!.version)
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop index if exists tenant_knowledge_by_text, tenant_knowledge_by_embedding')
}
