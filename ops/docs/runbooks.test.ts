/** The runbooks, each followed in the situation that it is for: every command of them runs here. */
import { execFile } from 'node:child_process'
import { chmodSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { parse } from 'yaml'
import { uniqueIndexProblem } from '../../connectors/postgres/index-check.ts'
import { migrateDown, migrateUp } from '../../connectors/postgres/migrate.ts'
import type { PageProcessed } from '../../schemas/generated/types.ts'
import { checksum, storedRows } from '../testing/checker.ts'
import { createTestDatabase } from '../testing/database.ts'
import { processedPage } from '../testing/events.ts'
import { eventually } from '../testing/eventually.ts'
import { follow as followIn, markdown, runbooks } from '../testing/runbook.ts'
import { createWorld } from '../testing/world.ts'

const unfollowed = new Set(runbooks.keys())

t.test('every alert links to a runbook that exists', async (t) => {
  const alerts = readFileSync(join(import.meta.dirname, '..', 'prometheus', 'alerts.yml'), 'utf8')
  const { rules } = (parse(alerts) as { groups: { rules: { alert: string; annotations: Record<string, string> }[] }[] })
    .groups[0]!
  for (const { alert, annotations } of rules) {
    const [file, anchor] = annotations['runbook_url']!.split('#')
    t.equal(file, 'ops/docs/runbooks.md', alert)
    t.ok(runbooks.has(anchor!), `${alert}: ${anchor}`)
    const section = markdown.split(/^## /m).find((one) => one.includes(`\`${alert}\``))
    t.ok(section, `${alert} is named where it is noticed`)
  }
})

t.test('every block is either run here or says that it is not', async (t) => {
  const fences = [...markdown.matchAll(/^```(\w.*)\n(.*)$/gm)]
  t.ok(fences.length > 20)
  for (const [, info, first] of fences)
    t.ok(
      /^(sh|sql) run$/.test(info!) || (info === 'sh not-run' && first!.startsWith('# not tested')),
      `${info}: ${first}`,
    )
})

t.setTimeout(300_000)
const world = await createWorld({ partitions: 2 })
t.teardown(world.close)
const { db, admin, prefix, embeddings } = world
const [acme, globex] = world.tenants as [string, string]
const topic = `${prefix}pages.processed`
const query = async (sql: string) => (await db.raw<{ rows: unknown }>(sql)).rows

const bin = t.testdir({
  sluice: `#!/bin/sh\nexec "${process.execPath}" "${join(import.meta.dirname, '..', 'bin', 'sluice.mjs')}" "$@"\n`,
})
chmodSync(join(bin, 'sluice'), 0o755)
const commands = {
  PATH: `${bin}:${process.env['PATH']}`,
  SLUICE_DATA_DIR: t.testdirName,
  ...world.variables,
}
type Words = Record<string, string>
/** What is no part of a runbook: what happened before it, and looks that are repeated until something is there. */
const sluice = (...args: string[]): Promise<{ stdout: string; stderr: string }> =>
  promisify(execFile)(join(bin, 'sluice'), args, { env: commands })
const open = (t: Parameters<typeof followIn>[0], anchor: string, words: Words = {}) => {
  unfollowed.delete(anchor)
  const book = followIn(t, anchor, { env: () => ({ ...commands, ...words }), query })
  return { ...book, end: () => t.strictSame(book.left(), [], 'all of it was run') }
}

const pages = (tenant: string, mark: string, count: number, given: Partial<PageProcessed> = {}) =>
  world.produce(
    'pages.processed',
    Array.from({ length: count }, (_, index) => processedPage(tenant, `${mark}-${index}`, given)),
  )
const block = (text: string) => ({ blocks: [{ kind: 'PARAGRAPH', text, level: 0, lang: '' }] as never })
const chunksOf = async (tenant: string, from = db) =>
  Number((await from('tenant_knowledge').where({ tenant_id: tenant }).count({ n: '*' }))[0]!['n'])
const tokensOf = async (tenant: string, from = db) =>
  Number(((await from('tenants').where({ id: tenant }).first()) as { tokens_bought: string }).tokens_bought)

/** The chunker, as whoever deploys it has it: one instance, which is stopped, and started with these settings. */
let chunker: Awaited<ReturnType<typeof world.spawnStages>> | undefined
let settings: Words = {}
const stop = async () => void (await chunker?.end('SIGTERM'))
async function start(changed: Words = settings) {
  settings = changed
  chunker = await world.spawnStages(['chunker'], settings)
  return chunker
}
const settled = () => world.drained('chunker')
/** Where the ledger was behind, Kafka's offset is no measure: it stood at the end already. */
async function caughtUp(database: typeof db): Promise<void> {
  const ends = new Map((await admin.fetchTopicOffsets(topic)).map(({ partition, high }) => [partition, Number(high)]))
  await eventually(
    'the ledger is at the end',
    () => database('stage_offsets').where({ consumer_group: `${prefix}sluice.chunker`, topic }),
    (rows: { partition: number; next_offset: string }[]) =>
      rows.length === ends.size && rows.every((row) => Number(row.next_offset) === ends.get(row.partition)),
  )
}

/** The instance has told the fleet why a partition is held. */
const reported = (reason: string) =>
  eventually(
    `${reason} is told`,
    () => db('stage_reports').select('report'),
    (rows) => JSON.stringify(rows).includes(`"reason":"${reason}"`),
  )

t.test('deploy and roll back', async (t) => {
  const book = open(t, 'deploy-and-roll-back')
  await start()
  await pages(acme, 'first', 3)
  await pages(globex, 'first', 3)
  await settled()
  await book.upTo('sluice lag')
  // The old version's database.
  const [newest] = await migrateDown(db)
  t.match((await book.upTo('sluice migrate status')).stdout, new RegExp(`pending +${newest}`))
  t.match((await book.upTo('sluice migrate up')).stdout, newest!)
  await book.upTo('sluice topics apply')
  t.notMatch((await book.upTo('sluice doctor')).stdout, '✗')
  t.match((await book.upTo('sluice lag')).stdout, /chunker: nothing to do/)
  t.match((await book.upTo('sluice dlq list')).stderr, /no open dead letters/)
  await stop()
  t.match((await book.upTo('sluice migrate down')).stdout, newest!)
  book.end()
  await migrateUp(db)
})

t.test('stalled: nobody runs the stage', async (t) => {
  const book = open(t, 'stalled')
  await pages(acme, 'stalled', 2)
  const { stdout } = await book.upTo('sluice lag')
  t.match(JSON.parse(stdout.split('\n')[0]!), { topic, reasons: ['no-member'] })
  await book.upTo('sluice doctor')
  await start()
  await settled()
  t.notMatch((await book.upTo('sluice lag')).stdout, 'stalled')
  book.end()
})

t.test('lag grows: a limit, and a pause that somebody forgot', async (t) => {
  const book = open(t, 'lag-grows', { TENANT: acme })
  await sluice('limit', 'chunker', '--records-per-second', '1', '--reason', 'an experiment')
  await sluice('pause', 'chunker', '--reason', 'lunch')
  await pages(acme, 'lag', 5)
  await reported('operator')
  t.match((await book.upTo('sluice lag')).stdout, /paused .*operator/)
  t.match((await book.upTo('sluice limit')).stdout, /chunker +1 .*an experiment/)
  t.match((await book.upTo('sluice pause')).stdout, /chunker .*lunch/)
  await book.upTo('sluice resume')
  t.match((await book.upTo('sluice tenant list')).stdout, new RegExp(`${acme} +active`))
  t.match((await book.upTo('sluice tenant limit')).stdout, new RegExp(`chunker +5 .*${acme}`))
  await settled()
  t.equal((await book.upTo('sluice lag')).stdout.trim(), '0')
  await book.upTo('sluice limit embeddings --off')
  t.match((await book.upTo('sluice tenant limit')).stderr, /no limits/)
  book.end()
})

t.test('dead letters grow: texts that the API refuses, and one record that nobody can read', async (t) => {
  embeddings.setFaults({ rejectText: 'unspeakable' })
  await pages(acme, 'refused', 3, block('An unspeakable text about pumps. '.repeat(20)))
  await world.produceRaw([{ topic, key: acme, value: Buffer.from('no such thing') }])
  await settled()
  const letters = await sluice('dlq', 'list', '--json')
  const found = letters.stdout.split('\n').filter(Boolean)
  const refused = found
    .map((line) => JSON.parse(line) as { code: string; partition: number; offset: string | number })
    .filter(({ code }) => code === 'embedding_rejected')
  t.equal(refused.length, 3, letters.stdout)
  const AT = `${refused[0]!.partition}:${refused[0]!.offset}`
  const book = open(t, 'dlq-grows', { TOPIC: 'pages.processed', AT, CODE: 'embedding_rejected' })
  t.match((await book.upTo('sluice dlq show')).stdout, /embedding_rejected.*An unspeakable text/s)
  embeddings.setFaults({})
  t.match((await book.upTo('sluice dlq redrive')).stdout, /^1 /)
  t.match((await book.upTo('sluice dlq redrive')).stdout, /would/)
  await book.upTo('sluice dlq redrive')
  t.match((await book.upTo('sluice dlq list')).stderr, /no open dead letters/)
  book.end()
  await settled()
  const stored = await db('sources').where('url', 'like', '%/refused-%').where({ status: 'active' })
  t.equal(stored.length, 3)
})

t.test('a breaker is open: it says which and why, and all goes on by itself', async (t) => {
  const book = open(t, 'breaker-open')
  embeddings.setFaults({ refuse: { status: 503 } })
  await pages(acme, 'outage', 2)
  await reported('dependency')
  t.match((await book.upTo('sluice doctor')).stdout, /✗ embeddings/)
  t.match((await book.upTo('sluice lag')).stdout, /paused .*dependency:embeddings/)
  embeddings.setFaults({})
  await book.upTo('sluice limit')
  await settled()
  await book.upTo('sluice doctor')
  t.match((await book.upTo('sluice lag')).stdout, /chunker: nothing to do/)
  t.match((await book.upTo('sluice pause')).stdout, /Postgres is being moved/)
  await book.upTo('sluice resume')
  book.end()
})

t.test('a tenant is deleted, and taken back', async (t) => {
  const book = open(t, 'delete-a-tenant', { TENANT: globex })
  await sluice('pause', '--tenant', globex)
  await sluice('tenant', 'limit', globex, 'chunker', '--records-per-second', '9')
  await world.produceRaw([{ topic, key: globex, value: Buffer.from('no such thing') }])
  const before = await chunksOf(globex)
  t.ok(before > 0)
  t.match((await book.upTo('sluice tenant delete')).stdout, /would be deleted/)
  await book.upTo('sluice tenant delete')
  t.equal(await chunksOf(globex), 0)
  await book.upTo('sluice resume')
  await settled()
  await book.upTo('sluice dlq discard')
  t.match((await sluice('dlq', 'list')).stderr, /no open dead letters/)
  t.match((await book.upTo('sluice tenant list')).stdout, new RegExp(`${globex} +deleted +0 +0`))
  t.match((await book.upTo('sluice search')).stderr, /nothing found/)
  await book.upTo('sluice replay')
  t.equal(await chunksOf(globex), before)
  book.end()
})

t.test('a database is restored that lacks the newest rows', async (t) => {
  const book = open(t, 'restored-database', { TENANT: globex })
  const backup = await db('stage_offsets').select()
  await pages(acme, 'after-backup', 3)
  await pages(globex, 'after-backup', 1)
  await settled()
  await sluice('tenant', 'delete', globex, '--yes')
  await stop()
  const whole = await storedRows(db)
  const lose = async (like: string) => {
    const ids = await db<{ id: string; url: string }>('sources').where('url', 'like', like).pluck('id')
    await db('tenant_knowledge').whereIn('source_id', ids).delete()
    await db('sources').whereIn('id', ids).delete()
    t.not((await storedRows(db)).length, whole.length, 'rows are lost')
  }
  await lose('%/after-backup-%')
  await db('tenants').where({ id: globex }).update({ status: 'active' })
  for (const { consumer_group, topic, partition, next_offset } of backup)
    await db('stage_offsets').where({ consumer_group, topic, partition }).update({ next_offset })

  t.match((await book.upTo('sluice doctor')).stdout, /✗ committed ≤ ledger .*ahead of the rows/)
  t.match((await book.upTo('sluice tenant delete')).stdout, /deleted/)
  const stage = await start()
  await eventually('it says so', stage.log, (log) => log.includes('going back to the ledger'))
  await caughtUp(db)
  t.strictSame(await storedRows(db), whole)
  await book.upTo('sluice doctor')

  // A failover under a running stage: its ledger stands behind the gap.
  await lose('%/after-backup-1')
  await book.upTo('sluice replay chunker')
  t.strictSame(await storedRows(db), whole)

  await db.raw('drop index unique_chunk_per_source')
  await book.upTo('sluice migrate up')
  t.equal(await uniqueIndexProblem(db), null)
  book.end()
})

const SMALLER = { CHUNK_CHILD_TOKENS: '60' }

t.test('everything is chunked again', async (t) => {
  const words: Words = {}
  const book = open(t, 're-chunk-everything', words)
  await stop()
  await start(SMALLER)
  const changed = /(\d+) pages/
  const planned = (await book.upTo('sluice replay chunker --from beginning --dry-run')).stdout
  t.ok(Number(changed.exec(planned)?.[1]) > 5, planned)
  await book.upTo('sluice replay status')
  t.match((await book.upTo('sluice replay chunker --from beginning --dry-run')).stdout, /\b0 pages/)
  t.equal((JSON.parse((await book.upTo('select')).stdout) as object[]).length, 1, 'one configuration is left')
  // Else it would be over before it can be cancelled.
  await sluice('pause', 'chunker')
  words['REPLAY'] = /replay (\w+)/.exec((await book.upTo('sluice replay chunker')).stdout)![1]!
  t.match((await book.upTo('sluice replay cancel')).stdout, /is cancelled/)
  book.end()
  await sluice('resume', 'chunker')
})

t.test('the model changes: first with the same dimensions, then into another database', async (t) => {
  const second = await createTestDatabase({ migrated: false, dimensions: 16 })
  t.teardown(second.close)
  const words = { ...SMALLER, NEW_DATABASE_URL: second.url, NEW_MODEL: 'model-2', NEW_DIMENSIONS: '16', TENANT: acme }
  const book = open(t, 'change-the-embedding-model', words)
  await stop()
  await start({ ...SMALLER, EMBEDDING_MODEL: 'model-2' })
  await book.upTo('export EMBEDDING_MODEL')
  const before = await storedRows(db)
  t.match((await book.upTo('sluice search')).stdout, /Pump/)
  t.match(JSON.parse((await book.upTo('select')).stdout), [{ embedding_model: 'model-2' }])
  t.equal((await storedRows(db)).length, before.length)

  await book.upTo('$NEW sluice doctor')
  t.ok((await chunksOf(acme, second.db)) > 0, 'filled beside the old one')
  t.equal(await chunksOf(globex, second.db), 0, 'a deleted tenant stays deleted')
  await stop()
  const filled = await checksum(second.db)
  const paid = await tokensOf(acme, second.db)
  await start({ ...SMALLER, EMBEDDING_MODEL: 'model-2', EMBEDDING_DIMENSIONS: '16', DATABASE_URL: second.url })
  await caughtUp(second.db)
  t.equal(await checksum(second.db), filled, 'passing over the log once more changes nothing')
  t.equal(await tokensOf(acme, second.db), paid)
  t.match((await book.upTo('$NEW sluice doctor')).stdout, /✓ committed/)
  t.match((await book.upTo('$NEW sluice search')).stdout, /Pump/)
  book.end()

  await pages(acme, 'meanwhile', 1)
  await settled()
  await stop()
  t.equal((await db('sources').where('url', 'like', '%/meanwhile-%')).length, 0)
  await start({})
  await caughtUp(db)
  t.equal((await db('sources').where('url', 'like', '%/meanwhile-%')).length, 1, 'taken back: the old one catches up')
})

t.test('lost offsets: retention took records before they were read', async (t) => {
  await stop()
  await pages(acme, 'expired', 4)
  await pages(acme, 'kept', 2)
  const { high } = (await admin.fetchTopicOffsets(topic)).find(({ partition }) => partition === 0)!
  const partitions = [{ partition: 0, offset: String(Number(high) - 2) }]
  await admin.deleteTopicRecords({ topic, partitions })
  const book = open(t, 'lost-offsets', { STAGE: 'chunker', PARTITION: '0' })
  const halted = await start()
  await eventually('it halts', halted.log, (log) => log.includes('expired_unread'))
  await reported('offset-guard')
  t.match(JSON.parse((await book.upTo('sluice lag')).stdout), { topic, partition: 0 })
  await stop()
  t.match((await book.upTo('sluice replay reset')).stdout, /4 records are SKIPPED/)
  await book.upTo('sluice replay reset')
  await start()
  await settled()
  t.match((await book.upTo('sluice lag')).stdout, /chunker: nothing to do/)
  await book.upTo('sluice doctor')
  book.end()
  const kept = await db('sources').where('url', 'like', '%/kept-%')
  t.equal(kept.length, 2)
})

t.test('no runbook is left that nobody followed', async (t) => t.strictSame([...unfollowed], []))
