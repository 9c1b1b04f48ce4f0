/** One baseline: its process, its receivers, its database. */
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { spawnGuarded } from '../../embedded/guard.ts'
import type { BaselineOptions } from './baseline-process.ts'
import { policies } from './baselines.ts'
import type { PolicyId } from './baselines.ts'
import { startReceivers } from './receivers.ts'
import type { Recording } from './recording.ts'
import type { Surroundings } from './scene.ts'
import { PAGES_PER_CRAWL, PARTITIONS, perSecond } from './stated-api.ts'
import { crawlOf, tenantPerPartition } from './workload.ts'

export async function runBaseline(id: PolicyId, surroundings: Surroundings): Promise<Recording> {
  const { databases, libDir, folder } = surroundings
  const database = await databases.open(id)
  const receivers = await startReceivers({ databaseUrl: database.url, libDir, logDir: folder })
  try {
    const tenants = tenantPerPartition(PARTITIONS)
    const options: BaselineOptions = {
      policy: id,
      databaseUrl: receivers.databaseUrl,
      openaiBaseUrl: receivers.openaiBaseUrl,
      tenants,
      pages: PAGES_PER_CRAWL,
    }
    const { startedMs, doneMs, tasksOpen, failure } = await runProcess(options, join(folder, 'baseline.log'))
    const { embeddings, postgres } = await receivers.logs()
    const { title, what } = policies[id]
    return {
      database: databases.name,
      ...{ id, title, what, kind: 'baseline', instances: 1, startedMs, drainedMs: doneMs ?? null, tasksOpen, failure },
      embeddings: embeddings.toSorted((a, b) => a.atMs - b.atMs),
      postgres,
      publishedMs: Object.fromEntries(crawlOf(tenants, PAGES_PER_CRAWL).map((page) => [page.id, startedMs])),
      arms: {},
      events: [],
      outages: [],
      limits: {
        requests: [{ fromMs: 0, perSecond: perSecond.requests }],
        tokens: [{ fromMs: 0, perSecond: perSecond.tokens }],
      },
      pages: { published: PAGES_PER_CRAWL, stored: await database.storedPages() },
    }
  } finally {
    await receivers.stop()
    await database.close()
  }
}

async function runProcess(options: BaselineOptions, logFile: string) {
  const script = join(import.meta.dirname, 'baseline-process.ts')
  const child = await spawnGuarded({
    ...{ command: process.execPath, args: [script, JSON.stringify(options)], logFile, stdout: 'pipe', graceMs: 0 },
  })
  let told: { startedMs?: number; doneMs?: number; tasksOpen?: number } = {}
  const lines = createInterface({ input: child.stdout! })
  lines.on('line', (line) => (told = { ...told, ...(JSON.parse(line) as typeof told) }))
  await once(lines, 'close')
  const how = await child.exited
  const { startedMs, doneMs, tasksOpen = null } = told
  if (startedMs === undefined) throw new Error(`the baseline did not start (${how}): ${logFile}`)
  return { startedMs, doneMs, tasksOpen, failure: doneMs === undefined ? `it ended early (${how}): ${logFile}` : null }
}
