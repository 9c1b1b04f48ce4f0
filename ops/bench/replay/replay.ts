/**
 * `sluice bench replay`: how much longer a live page takes, from produced to stored, while the whole topic is replayed
 * through another chunker. One run, in turns (without, with, without, with), so that what else the machine does meets both.
 */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createPostgres } from '../../../connectors/postgres/client.ts'
import { note, printRows } from '../../commands/output.ts'
import { defaults, readConfig } from '../../config.ts'
import { startStack } from '../../embedded/stack.ts'
import { foreground } from '../../foreground.ts'
import type { Life } from '../../foreground.ts'
import { startDatabases } from '../smoothness/database.ts'
import { createScene } from '../smoothness/scene.ts'
import type { Scene } from '../smoothness/scene.ts'
import { DIMENSIONS } from '../smoothness/stated-api.ts'
import { crawlOf } from '../smoothness/workload.ts'
import { startReplaying } from './replaying.ts'

/** Live pages a second: below what the stated API takes, as a live flow is that nobody waits for. */
const PER_SECOND = 2
const LIVE_FIRST = 2_000
const TARGET = 1.2

export function replayBench(args: readonly string[], output: { json: boolean }): Promise<never> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      stored: { type: 'string', default: '600' },
      seconds: { type: 'string', default: '40' },
      rounds: { type: 'string', default: '2' },
      postgres: { type: 'boolean', default: false },
    },
  })
  const [stored, seconds, rounds] = [values.stored, values.seconds, values.rounds].map(Number) as [
    number,
    number,
    number,
  ]
  return foreground(
    async (life) => {
      const scene = await open(life, values.postgres)
      await scene.fleet.start(2)
      await scene.warmUp()
      note(`storing ${stored} pages …`)
      await scene.crawl(stored)
      await scene.drained()
      // Live pages stay out of the replays: done again, they would look stored later than they were.
      const upTo = new Date().toISOString()
      const waits: Record<'without' | 'during', number[]> = { without: [], during: [] }
      let replayed = 0
      for (let round = 0; round < rounds; round += 1) {
        waits.without.push(...(await live(scene, seconds, round * 2)))
        const replaying = await startReplaying(scene, round, upTo)
        waits.during.push(...(await live(scene, seconds, round * 2 + 1)))
        replayed += await replaying.stop()
      }
      report(waits, replayed, output)
    },
    { codeOnSignal: 130 },
  )
}

export type BenchScene = Scene & { readonly folder: string; readonly storedAt: StoredAt }
/** When each of these URLs was stored, by the database's clock, which is this machine's. */
type StoredAt = (urls: readonly string[]) => Promise<Map<string, number>>

async function open(life: Life, real: boolean): Promise<BenchScene> {
  const config = readConfig()
  const folder = join(config.dataDir, 'bench', `replay-${process.pid}`)
  await mkdir(folder, { recursive: true })
  life.defer('the run’s folder', () => rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }))
  const parts = { dataDir: join(folder, 'stack'), libDir: config.libDir, parts: ['kafka', 'registry'] as const }
  const stack = await startStack({ ...parts, parts: [...parts.parts], onProgress: () => {} })
  life.defer('Kafka and the registry', stack.stop)
  const databases = await startDatabases({ folder, libDir: config.libDir, real })
  life.defer('the database', databases.stop)
  const { brokers = [], registryUrl = '' } = stack.endpoints
  const scene = await createScene('replay', {
    ...{ brokers: brokers.join(','), registryUrl, databases, libDir: config.libDir, folder, say: note },
    onEnd: (close) => life.defer('the scene', close),
  })
  const url = scene.receivers.databaseUrl
  const db = createPostgres({ ...defaults.postgres, url, poolMax: 1 }, DIMENSIONS)
  life.defer('the bench’s own connection', () => db.destroy())
  const storedAt: StoredAt = async (urls) => {
    const rows: { url: string; updated_at: Date }[] = await db('sources')
      .whereIn('url', [...urls])
      .where({ status: 'active' })
      .select('url', 'updated_at')
    return new Map(rows.map((row) => [row.url, row.updated_at.getTime()]))
  }
  return { ...scene, folder, storedAt }
}

/** Even pages of new URLs, a tenant after the other. @returns milliseconds from produced to stored, of each. */
async function live(scene: BenchScene, seconds: number, phase: number): Promise<number[]> {
  const count = seconds * PER_SECOND
  const pages = crawlOf(scene.tenants, count, LIVE_FIRST + phase * 1_000)
  const sent = new Map<string, number>()
  for (const page of pages) {
    sent.set(`https://${page.tenant}.example/${page.id}`, Date.now())
    await scene.publish([page])
    await sleep(1_000 / PER_SECOND)
  }
  let stored = new Map<string, number>()
  for (let tries = 0; stored.size < count && tries < 120; tries += 1) {
    stored = await scene.storedAt([...sent.keys()])
    if (stored.size < count) await sleep(500)
  }
  if (stored.size < count)
    throw new Error(`${count - stored.size} of ${count} live pages were not stored within a minute`)
  return [...sent].map(([url, atMs]) => stored.get(url)! - atMs)
}

function report(
  { without, during }: { without: number[]; during: number[] },
  replayed: number,
  output: { json: boolean },
) {
  const [before, then] = [quantiles(without), quantiles(during)]
  const growth = then.p99Ms / before.p99Ms
  const met = growth <= TARGET
  if (!met) process.exitCode = 1
  const result = {
    ...{ without: before, during: then, replayed, growth: Number(growth.toFixed(3)), target: TARGET, met },
  }
  printRows([result], output, () =>
    [
      line('without', before),
      line('during', then),
      `p99 × ${growth.toFixed(2)} while ${replayed} records were replayed: ${met ? 'met' : 'MISSED'}, the target is × ${TARGET}`,
    ].join('\n'),
  )
}

type Quantiles = ReturnType<typeof quantiles>
const line = (name: string, { pages, p50Ms, p90Ms, p99Ms }: Quantiles) =>
  `${name.padEnd(8)} ${pages} pages: p50 ${p50Ms} ms, p90 ${p90Ms} ms, p99 ${p99Ms} ms`

function quantiles(waits: readonly number[]) {
  const sorted = [...waits].sort((a, b) => a - b)
  const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)]!
  return { pages: sorted.length, p50Ms: at(0.5), p90Ms: at(0.9), p99Ms: at(0.99) }
}
