/** HNSW over the embeddings (cosine) and GIN over the full text: the two halves of hybrid search. */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create index tenant_knowledge_by_embedding on tenant_knowledge
    using hnsw (embedding halfvec_cosine_ops) where embedding is not null`)
  await knex.raw(`
    create index tenant_knowledge_by_text on tenant_knowledge
    using gin (search_vector) where embedding is not null`)
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop index tenant_knowledge_by_text, tenant_knowledge_by_embedding')
}
