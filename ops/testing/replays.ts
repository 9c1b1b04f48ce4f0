/** A world with stored pages, and the `sluice` command in processes of their own, for tests of replays. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { createReplays } from '../../connectors/postgres/replays.ts'
import type { PageProcessed } from '../../schemas/generated/types.ts'
import { expectedRows } from './checker.ts'
import { processedPage } from './events.ts'
import { createWorld } from './world.ts'

const cli = join(import.meta.dirname, '..', 'bin', 'sluice.mjs')
const PAGES = 10
/** Of every tenant: PAGES pages, two later versions of the first, and one that is a single sentence. */
export const RECORDS_A_TENANT = PAGES + 3

/** A chunker that makes other chunks than the stored ones. */
export const SMALLER = { CHUNK_CHILD_TOKENS: '60' }
export const nothing = {
  ...{ pagesChanged: 0, chunksInserted: 0, chunksDeleted: 0, embeddingInputs: 0, embeddingTokens: 0 },
}

export async function createReplayWorld() {
  const world = await createWorld({ partitions: 3 })
  const { db, admin, prefix } = world
  const produced: PageProcessed[] = []

  function start(args: readonly string[], env: Record<string, string> = {}) {
    const child = spawn(process.execPath, [cli, ...args, '--json'], {
      env: { PATH: process.env['PATH'], ...world.variables, LOG_LEVEL: 'warn', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const ended = Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')] as const).then(
      ([stdout, stderr, [code]]) => {
        const lines = stdout.split('\n').filter(Boolean)
        const rows = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
        return { code: code as number | null, stderr, rows, last: rows.at(-1) }
      },
    )
    return { child, ended }
  }
  async function produce(pages: readonly ReturnType<typeof processedPage>[]) {
    produced.push(...(pages as unknown as PageProcessed[]))
    await world.produce('pages.processed', pages)
  }
  async function fill() {
    const sentence = [{ kind: 'PARAGRAPH', text: 'The pump is in the cellar.', level: 0, lang: '' }]
    await produce(
      world.tenants.flatMap((tenant) => [
        ...Array.from({ length: PAGES }, (_, page) => processedPage(tenant, `p${page}`)),
        processedPage(tenant, 'p0', { version: 2n }),
        processedPage(tenant, 'p0', { version: 3n, paragraphs: 5 }),
        processedPage(tenant, 'short', { blocks: sentence as never }),
      ]),
    )
    const live = await world.spawnStages(['chunker'])
    await world.drained('chunker')
    await live.end('SIGTERM')
  }
  await fill()

  const groupsLike = async (part: string) =>
    (await admin.listGroups()).groups.map(({ groupId }) => groupId).filter((group) => group.startsWith(prefix + part))
  return {
    ...world,
    produced,
    start,
    sluice: (...args: string[]) => start(args).ended,
    replays: createReplays(db),
    /** Inputs that the embeddings API was asked for, so far. */
    askedFor: () => world.embeddings.log.reduce((sum, { inputs }) => sum + inputs, 0),
    expected: (env: Partial<typeof SMALLER> = {}) =>
      expectedRows(produced, {
        ...world.chunkerConfig,
        ...(env.CHUNK_CHILD_TOKENS && { childTokens: Number(env.CHUNK_CHILD_TOKENS) }),
      }),
    /** What a replay that is over must not leave. */
    leftovers: async () => ({
      groups: await groupsLike('sluice.chunker.replay.'),
      ledger: await db('stage_offsets').where('consumer_group', 'like', '%.replay.%'),
    }),
  }
}
export const clean = { groups: [], ledger: [] }
