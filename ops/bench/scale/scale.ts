/**
 * The figures that ops/docs/scaling.md computes with, on a real PostgreSQL: bytes of a page, the time of an HNSW index,
 * milliseconds of a lease's renewal. `sluice bench scale`; PostgreSQL comes from a wheel and needs python3 with pip.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createPostgres } from '../../../connectors/postgres/client.ts'
import { migrateUp } from '../../../connectors/postgres/migrate.ts'
import { defaults as settings, readConfig } from '../../config.ts'
import { startRealPostgres } from '../../embedded/real-postgres.ts'
import { readNumbers, runAlone, stdout } from '../runtime/report.ts'
import type { BenchIo } from '../runtime/report.ts'
import { buildIndex } from './index-build.ts'
import { leaseCost } from './leases.ts'
import { sizes, writePages } from './storage.ts'

const defaults = { pages: 500, words: 1_750, dimensions: 1536, vectors: 40_000, 'memory-mb': 1024, seconds: 10 }

export async function run(args: readonly string[], io: BenchIo = stdout): Promise<boolean> {
  const options = readNumbers(args, defaults)
  const folder = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
  const server = await startRealPostgres({
    ...{ dataDir: join(folder, 'postgres'), libDir: readConfig().libDir },
    settings: { shared_buffers: '512MB', max_wal_size: '4GB' },
  })
  const db = createPostgres(
    { ...settings.postgres, url: server.url, poolMax: 20, statementTimeoutMs: 0 },
    options.dimensions,
  )
  try {
    await migrateUp(db)
    for (const holders of [10, 50, 100, 150, 200, 500])
      io.print(JSON.stringify(rounded(await leaseCost(db, holders, options.seconds))))
    const shape = { pages: options.pages, words: options.words, dimensions: options.dimensions }
    const indexed = await writePages(db, { ...shape, tenant: 'indexed' })
    const bytes = await sizes(db)
    io.print(JSON.stringify({ written: 'with HNSW', ...rounded(indexed), perPage: perPage(bytes, options.pages) }))
    await db.raw('drop index tenant_knowledge_by_embedding')
    io.print(
      JSON.stringify({ written: 'without HNSW', ...rounded(await writePages(db, { ...shape, tenant: 'bare' })) }),
    )
    for (const vectors of [options.vectors / 4, options.vectors / 2, options.vectors].map(Math.round)) {
      const { dimensions, 'memory-mb': memoryMb } = options
      io.print(JSON.stringify(rounded(await buildIndex(db, { vectors, dimensions, memoryMb, workers: 1 }))))
    }
    return true
  } finally {
    await db.destroy()
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

const perPage = (bytes: Record<string, number>, pages: number) =>
  Object.fromEntries(Object.entries(bytes).map(([name, size]) => [name, Math.round(size / pages)]))
const rounded = (figures: object) =>
  Object.fromEntries(
    Object.entries(figures).map(([name, value]) => [
      name,
      typeof value === 'number' ? Number(value.toPrecision(3)) : value,
    ]),
  )

if (import.meta.main) await runAlone(run)
