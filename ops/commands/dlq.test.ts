/** `sluice dlq` as it is typed: what a terminal is shown, what a program reads, and what happens without --yes. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { crawledPage } from '../testing/events.ts'
import { createWorld } from '../testing/world.ts'

t.setTimeout(240_000)
const world = await createWorld({ partitions: 1 })
t.teardown(world.close)
const { services, prefix } = world

interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

const cli = join(import.meta.dirname, '..', 'bin', 'sluice.mjs')
const sluice = (...args: string[]): Promise<Ran> =>
  new Promise((resolve) => {
    const env = { PATH: process.env['PATH'], ...world.variables }
    execFile(process.execPath, [cli, ...args], { env }, (error, out, err) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, out, err }),
    )
  })

const HOSTILE = '\u001b[2J\u001b]0;owned\u0007\u202e\u009b31m\rrm -rf'
/** What a terminal obeys, or draws the other way round. */
const OBEYED = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/

t.test('a hostile page does nothing to a terminal, and a program reads it as it is', async (t) => {
  const page = crawledPage('acme', `x?${HOSTILE}`, { content_type: HOSTILE })
  await world.produceRaw([
    {
      topic: `${prefix}pages.crawled.dlq`,
      key: `acme${HOSTILE}`,
      value: await services.codec.encode('pages.crawled', page),
      headers: { 'sluice-error-code': HOSTILE, 'sluice-error-message': `title: ${HOSTILE}`, 'sluice-attempt': '4' },
    },
  ])
  for (const args of [['list'], ['list', 'pages.crawled'], ['show', 'pages.crawled', '0:0']]) {
    const { code, out } = await sluice('dlq', ...args)
    t.equal(code, 0)
    t.match(out, 'rm -rf')
    t.notMatch(out, OBEYED, args.join(' '))
  }
  const rows = (await sluice('dlq', 'list', '--json')).out.trimEnd().split('\n')
  t.match(
    rows.map((row) => JSON.parse(row) as object),
    [{ tenant: `acme${HOSTILE}`, message: `title: ${HOSTILE}`, attempts: 4, value: { value: { url: page['url'] } } }],
  )
})

t.test('without --yes nothing happens; with it each letter goes back once, and the list is empty', async (t) => {
  const plan = await sluice('dlq', 'redrive', 'pages.crawled')
  t.match(plan, { code: 0, out: /^1 would be redriven/, err: /--yes/ })
  t.equal((await world.readTopic('pages.crawled')).length, 0)
  t.match(await sluice('dlq', 'redrive', 'pages.crawled', '0:0', '--yes'), { code: 0, out: /^1 redriven/ })
  t.match(await sluice('dlq', 'redrive', 'pages.crawled', '--yes'), { code: 0, out: '0 redriven, 1 decided before\n' })
  t.equal((await world.readTopic('pages.crawled')).length, 1)
  t.match(await sluice('dlq', 'list'), { code: 0, out: '', err: /no open dead letters/ })
  const all = (await sluice('dlq', 'list', '--all', '--json')).out
  t.match(JSON.parse(all), { state: 'redriven', action: { actor: /@/ } })
})

t.test('discarding needs a reason and keeps it', async (t) => {
  await world.produceRaw([{ topic: `${prefix}crawl.requests.dlq`, key: 'acme', value: null }])
  t.match(await sluice('dlq', 'discard', 'crawl.requests', '--reason', ' ', '--yes'), { code: 2, err: /--reason/ })
  t.match(await sluice('dlq', 'discard', 'crawl.requests', '--reason', 'of no use'), { code: 0, err: /--yes/ })
  t.match(await sluice('dlq', 'discard', 'crawl.requests', '--reason', 'of no use', '--yes', '--json'), {
    code: 0,
    out: /"discarded":1/,
  })
  t.match(await sluice('dlq', 'show', 'crawl.requests', '0:0'), { out: /discarded by \S+@\S+, \S+ of no use/ })
})

t.test('wrong use is said before anything is touched', async (t) => {
  t.match(await sluice('dlq', 'list', 'pages.crawld'), { code: 2, err: /pages\.crawled/ })
  t.match(await sluice('dlq', 'show', 'pages.crawled', '7'), { code: 2, err: /PARTITION:OFFSET/ })
  t.match(await sluice('dlq', 'show', 'pages.crawled', '0:999'), { code: 1, err: /no record at 0:999/ })
  t.match(await sluice('dlq', 'list', '--since', '42'), { code: 2, err: /how long ago/ })
  t.match(await sluice('dlq', 'redrive', 'pages.crawled', '0:999', '--yes'), { code: 1, err: /no such record/ })
})
