/** How long an HNSW index takes to build, and how large it is, over random vectors: those of a model have clusters, and are kinder. */
import type { Knex } from 'knex'

export interface IndexBuild {
  readonly vectors: number
  readonly seconds: number
  readonly bytes: number
  /** The graph fitted into maintenance_work_mem: below that the rest is inserted one by one, on disk. */
  readonly inMemory: boolean
}

interface Options {
  readonly vectors: number
  readonly dimensions: number
  readonly memoryMb: number
  readonly workers: number
}

export async function buildIndex(db: Knex, { vectors, dimensions, memoryMb, workers }: Options): Promise<IndexBuild> {
  const size = Number(dimensions)
  await db.raw('drop table if exists bench_vectors')
  await db.raw(`create unlogged table bench_vectors (embedding halfvec(${size}))`)
  await db.raw(
    `insert into bench_vectors select (
       select array_agg(random() - 0.5 + 0 * n * i) from generate_series(1, ${size}) i
     )::real[]::halfvec(${size}) from generate_series(1, ?) n`,
    [vectors],
  )
  let inMemory = true
  const seconds = await db.transaction(async (trx) => {
    await trx.raw(`set local maintenance_work_mem = '${Number(memoryMb)}MB'`)
    await trx.raw(`set local max_parallel_maintenance_workers = ${Number(workers)}`)
    const { client } = trx as unknown as { client: { acquireConnection: () => Promise<Noticing> } }
    const connection = await client.acquireConnection()
    const heard = ({ message }: { message: string }) => {
      if (message.includes('no longer fits')) inMemory = false
    }
    connection.on('notice', heard)
    const began = performance.now()
    await trx.raw('create index bench_by_embedding on bench_vectors using hnsw (embedding halfvec_cosine_ops)')
    connection.off('notice', heard)
    return (performance.now() - began) / 1_000
  })
  const { rows } = await db.raw<{ rows: { bytes: string }[] }>(`select pg_relation_size('bench_by_embedding') as bytes`)
  await db.raw('drop table bench_vectors')
  return { vectors, seconds, bytes: Number(rows[0]!.bytes), inMemory }
}

interface Noticing {
  on: (event: 'notice', heard: (notice: { message: string }) => void) => void
  off: (event: 'notice', heard: (notice: { message: string }) => void) => void
}
