/** The operators' commands in processes of their own, through a real broker and registry. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { createWorld } from './testing/world.ts'

const world = await createWorld({ partitions: 3 })
t.teardown(world.close)
const cli = join(import.meta.dirname, 'bin', 'sluice.mjs')

async function sluice(...args: string[]) {
  const child = spawn(process.execPath, [cli, ...args], {
    env: { ...world.variables, LOG_LEVEL: 'info' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ])
  const rows = args.includes('--json')
    ? stdout
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as object)
    : []
  return { code, stdout, stderr, rows }
}
const SINCE = /^\d{4}-\d\d-\d\dT.*Z$/

t.test('a pause is listed with its reason, by whom and since when, until it is lifted', async (t) => {
  t.match(await sluice('pause'), { code: 0, stdout: /^$/, stderr: /nothing is paused/ })
  t.match(await sluice('pause', 'chunker', '--partition', '2', '--reason', 'a disk is full'), { code: 0 })
  t.match(await sluice('pause', '--tenant', 'a/b ü'), { code: 0 })
  const listed = await sluice('pause', '--json')
  t.match(listed, { code: 0 })
  t.match(listed.rows, [
    { stage: 'chunker', tenant: null, partition: 2, reason: 'a disk is full', by: /^.+@.+$/, since: SINCE },
    { stage: null, tenant: 'a/b ü', partition: null, reason: '' },
  ])
  const people = await sluice('pause')
  t.match(
    people.stdout,
    /^STAGE +TENANT +PARTITION +REASON +BY +SINCE\nchunker +all +2 +a disk is full .*\nall +a\/b ü/,
  )
  const resumed = await sluice('resume', 'chunker', '--partition', '2')
  t.match(resumed, { code: 0, stderr: /resumed: chunker, partition 2\nstill in force:/, stdout: /a\/b ü/ })
  t.notMatch(resumed.stdout, 'chunker')
  t.match(await sluice('resume', '--tenant', 'a/b ü', '--json'), { code: 0, stdout: /^$/ })
  t.match(await sluice('pause', '--json'), { code: 0, stdout: /^$/ })
})

t.test('resume lifts the pause that is named and no other', async (t) => {
  await sluice('pause', 'all')
  t.match(await sluice('resume', 'processor'), {
    code: 0,
    stderr: /was not paused by itself/,
    stdout: /^STAGE.*\nall /,
  })
  t.match(await sluice('resume', 'all'), { code: 0, stderr: /resumed: all stages/, stdout: /^$/ })
})

t.test('limits are given and told in the units of people, and lifted one by one or together', async (t) => {
  const set = ['--requests-per-minute', '600', '--tokens-per-minute', '1000000', '--in-flight', '8']
  t.match((await sluice('limit', 'embeddings', ...set, '--reason', 'our plan', '--json')).rows, [
    { resource: 'embeddings', limit: 600, unit: 'requests/min', tenant: null, reason: 'our plan', since: SINCE },
    { resource: 'embeddings', limit: 1_000_000, unit: 'tokens/min' },
    { resource: 'embeddings', limit: 8, unit: 'in flight' },
  ])
  await sluice('limit', 'processor', '--records-per-second', '0.5')
  await sluice('limit', 'database', '--in-flight', 'unlimited')
  await sluice('limit', 'embeddings', '--in-flight', 'off')
  t.match((await sluice('limit', '--json')).rows, [
    { limit: 600 },
    { limit: 1_000_000 },
    { resource: 'processor', limit: 0.5, unit: 'records/s' },
    { resource: 'database', limit: null },
  ])
  const lifted = await sluice('limit', 'embeddings', '--off', '--json')
  t.same(
    lifted.rows.map((row) => (row as { resource: string }).resource),
    ['processor', 'database'],
  )
})

t.test('a tenant has limits of its own', async (t) => {
  const own = await sluice('tenant', 'limit', 'acme', 'embeddings', '--tokens-per-minute', '6000', '--json')
  t.match(own.rows, [{ resource: 'embeddings', tenant: 'acme', limit: 6_000 }])
  await sluice('limit', 'chunker', '--tenant', 'other', '--records-per-second', '1')
  t.equal((await sluice('tenant', 'limit', 'acme', '--json')).rows.length, 1, 'those of others are not listed')
  t.match((await sluice('limit', '--tenant', 'other', '--json')).rows, [{ resource: 'chunker', tenant: 'other' }])
})

t.test('what cannot be meant is refused before anything is written, with what to do', async (t) => {
  const before = (await sluice('limit', '--json')).stdout
  const wrong: [string[], RegExp][] = [
    [['pause', 'chunkr'], /crawler, processor, chunker/],
    [['pause', 'chunker', '--partition', '3'], /Its partitions are 0 to 2/],
    [['pause', 'chunker', '--partition', '-1'], /partition/],
    [['pause', '--partition', '1'], /needs a stage/],
    [['pause', '--tenant', ' '], /tenant must not be empty/],
    [['pause', 'chunker', '--tenant', 'a', '--partition', '1'], /exclude each other/],
    [['pause', '--reason', 'why'], /Name a stage/],
    [['resume'], /Name a stage/],
    [['limit', 'disk', '--in-flight', '1'], /embeddings, database, crawler, processor, chunker/],
    [['limit', 'database'], /--in-flight/],
    [['limit', 'database', '--in-flight', '0'], /above 0[^]*sluice pause/],
    [['limit', 'database', '--in-flight', '1.5'], /whole number/],
    [['limit', 'processor', '--records-per-second', 'NaN'], /above 0/],
    [['limit', 'processor', '--requests-per-minute', '5'], /It has --records-per-second/],
    [['limit', 'database', '--tenant', 'a', '--in-flight', '5'], /of a tenant/],
    [['limit', 'embeddings', '--off', '--in-flight', '5'], /--in-flight off/],
    [['tenant', 'limit'], /'T'/],
  ]
  const runs = await Promise.all(wrong.map(([args]) => sluice(...args)))
  for (const [i, [args, message]] of wrong.entries())
    t.match(runs[i], { code: 2, stdout: /^$/, stderr: message }, args.join(' '))
  t.match(await sluice('pause', '--json'), { stdout: /^$/ })
  t.equal((await sluice('limit', '--json')).stdout, before)
})
