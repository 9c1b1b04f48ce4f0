/**
 * A baseline as a process: `node baseline-process.ts JSON`. Extracting and chunking is done before the clock starts,
 * because the fleet that this one process stands for has a core for each task. Prints `{"startedMs":N}` at the first
 * dispatch and `{"doneMs":N,"tasksOpen":N}` at the end.
 */
import { classifyFailure } from '../../../connectors/embeddings/failures.ts'
import { createRequest } from '../../../connectors/embeddings/request.ts'
import { createPostgres } from '../../../connectors/postgres/client.ts'
import { createStore } from '../../../connectors/postgres/store.ts'
import type { PageCrawled, PageProcessed } from '../../../schemas/generated/types.ts'
import type { InputRecord } from '../../../streams/outcome.ts'
import { extract } from '../../../streams/2-processor/extract.ts'
import { processor } from '../../../streams/2-processor/processor.ts'
import { chunker } from '../../../streams/3-chunker/chunker.ts'
import type { EmbeddingInput } from '../../../streams/3-chunker/chunker.ts'
import type { PageWrite } from '../../../streams/writes.ts'
import { defaults } from '../../config.ts'
import { policies, runPolicy } from './baselines.ts'
import type { PageTasks, PolicyId } from './baselines.ts'
import { DIMENSIONS, MODEL } from './stated-api.ts'
import { crawledEvent, crawlOf } from './workload.ts'
import type { BenchPage } from './workload.ts'

export interface BaselineOptions {
  readonly policy: PolicyId
  readonly databaseUrl: string
  readonly openaiBaseUrl: string
  readonly tenants: readonly string[]
  readonly pages: number
}

/** Connections of the fleet, just below the 100 that Postgres takes unless told; other tasks wait for one. */
const POOL = 90

const options = JSON.parse(process.argv[2] ?? '{}') as BaselineOptions
const db = createPostgres(
  // Tasks wait for a connection as long as it takes: failing them would flatter nobody.
  {
    ...defaults.postgres,
    url: options.databaseUrl,
    poolMax: POOL,
    connectTimeoutMs: 120_000,
    statementTimeoutMs: 120_000,
  },
  DIMENSIONS,
)
const store = createStore(db)
const send = createRequest({
  ...defaults.embeddings,
  apiKey: 'bench',
  baseUrl: options.openaiBaseUrl,
  model: MODEL,
  dimensions: DIMENSIONS,
})
const never = new AbortController().signal

const config = {
  childTokens: defaults.chunker.childTokens,
  parentTokens: defaults.chunker.parentTokens,
  model: MODEL,
  dimensions: DIMENSIONS,
}

/** The stages' own handlers make the page's rows; the vectors are numbers of inputs until they are bought. */
async function prepare(page: BenchPage): Promise<{ write: PageWrite; inputs: readonly EmbeddingInput[] }> {
  const defaultsOfEvent = {
    canonical_url: '',
    status: 'FETCHED',
    chunk_type: 'website',
    version: 1n,
    fetched_at: 0n,
    crawl_id: '',
  }
  const crawled = recordOf({ ...defaultsOfEvent, ...crawledEvent(page) } as PageCrawled)
  const processed = await processor.handle(crawled, { extract: async (input) => extract(input) })
  if (processed.kind !== 'emit') throw new Error(`page ${page.id} was not extracted`)
  let inputs: readonly EmbeddingInput[] = []
  const chunked = await chunker.handle(recordOf(processed.records[0]!.value as PageProcessed), {
    readSource: async () => null,
    storedVectors: async () => new Map(),
    embed: async (_tenant, wanted) => {
      inputs = wanted
      return { vectors: wanted.map((_, index) => String(index)), tokens: 0 }
    },
    config,
  })
  if (chunked.kind !== 'store' || chunked.write.type !== 'page') throw new Error(`page ${page.id} was not chunked`)
  return { write: chunked.write, inputs }
}

const recordOf = <Value extends { tenant_id: string }>(value: Value): InputRecord<Value> => ({
  ...{ value, tenantId: value.tenant_id, timestampMs: Date.now(), id: '', attempt: 1, signal: never },
})

async function tasksOf(page: BenchPage): Promise<PageTasks> {
  const { write, inputs } = await prepare(page)
  let vectors: readonly (string | null)[] = []
  return {
    process: async () => void (await store.readSource(write.tenantId, write.sourceId)),
    prepareChunks: async () => {
      await store.readSource(write.tenantId, write.sourceId)
      const hashes = write.rows.filter(({ embedding }) => embedding !== null).map(({ contentHash }) => contentHash)
      await store.storedVectors(write.tenantId, hashes)
    },
    embed: async () => {
      try {
        const reply = await send(
          inputs.map(({ text }) => text),
          never,
        )
        vectors = reply.vectors
        return undefined
      } catch (error) {
        const failure = classifyFailure(error, Date.now())
        if (failure.kind === 'rejected') throw error
        return { retryAfterMs: failure.error.retryAfterMs }
      }
    },
    store: async () => {
      const rows = write.rows.map((row) => ({
        ...row,
        embedding: row.embedding === null ? null : vectors[Number(row.embedding)]!,
      }))
      await store.transact('bench', [{ ...write, rows }], [])
    },
  }
}

const tell = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`)

const pages: PageTasks[] = []
for (const page of crawlOf(options.tenants, options.pages)) pages.push(await tasksOf(page))
tell({ startedMs: Date.now() })
const tasksOpen = await runPolicy(policies[options.policy], pages)
tell({ doneMs: Date.now(), tasksOpen })
await db.destroy()
process.exit(0)
