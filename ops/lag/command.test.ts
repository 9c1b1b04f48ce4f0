/** `sluice lag` as a process: offsets are the broker's, the same figures as Kafka's own tool gives. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { readConfig } from '../config.ts'
import { kafkaLibrary, kafkaToolsLibrary } from '../embedded/library.ts'
import { jvmFlags } from '../embedded/kafka.ts'
import { runTool } from '../embedded/run-tool.ts'
import { crawledPage } from '../testing/events.ts'
import { createWorld } from '../testing/world.ts'

t.setTimeout(240_000)
const world = await createWorld({ partitions: 3 })
t.teardown(world.close)
const cli = join(import.meta.dirname, '..', 'bin', 'sluice.mjs')

interface Line {
  readonly group: string
  readonly topic: string
  readonly partition: number
  readonly committed: number | null
  readonly end: number
  readonly lag: number
}

/** Of partitions that have a committed offset: of others the tool gives none. */
async function kafkaSays(group: string): Promise<Line[]> {
  const { libDir } = readConfig()
  const folders = [await kafkaLibrary({ libDir }), await kafkaToolsLibrary({ libDir })]
  const jars = folders.map((folder) => join(folder, '*')).join(':')
  const tool = ['-Dlog4j2.level=ERROR', '-cp', jars, 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand']
  const args = ['--bootstrap-server', world.config.kafka.brokers.join(','), '--describe', '--group', group]
  const { output, code } = await runTool('java', [...jvmFlags(128), ...tool, ...args])
  if (code !== 0) throw new Error(output)
  return output
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([name, , , committed]) => name === group && committed !== '-')
    .map(([name, topic, partition, committed, end, lag]) => ({
      ...{ group: name!, topic: topic!, partition: Number(partition) },
      ...{ committed: Number(committed), end: Number(end), lag: Number(lag) },
    }))
}

function start(args: readonly string[], extra: Record<string, string> = {}) {
  return spawn(process.execPath, [cli, 'lag', ...args], {
    env: { ...world.variables, PATH: process.env['PATH'], LOG_LEVEL: 'info', ...extra },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}
async function sluice(args: readonly string[], extra: Record<string, string> = {}) {
  const child = start(args, extra)
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { stdout, stderr, code: code as number | null }
}
const parse = (lines: string) =>
  lines
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Line & Record<string, unknown>)

async function sluiceSays() {
  const { stdout, stderr, code } = await sluice(['--json'])
  t.equal(code, 0, stderr)
  return parse(stdout)
}

const byPlace = (a: Line, b: Line) => a.topic.localeCompare(b.topic) || a.partition - b.partition

t.test('committed, end and lag are those of ConsumerGroupCommand --describe, for every partition', async (t) => {
  const group = `${world.prefix}sluice.processor`
  await world.produce(
    'pages.crawled',
    world.tenants.map((tenant) => crawledPage(tenant, 'done')),
  )
  const stage = await world.spawnStages(['processor'])
  await world.drained('processor')
  await stage.end('SIGTERM')
  const [first, second] = world.tenants as [string, string]
  const later = (tenant: string, count: number) =>
    Array.from({ length: count }, (_, index) => crawledPage(tenant, `later-${index}`))
  await world.produce('pages.crawled', [...later(first, 7), ...later(second, 2)])

  const wanted = (await kafkaSays(group)).sort(byPlace)
  t.match(
    wanted
      .map(({ lag }) => lag)
      .filter((lag) => lag > 0)
      .sort(),
    [2, 7],
    'the tool sees what was produced',
  )
  const rows = await sluiceSays()
  const mine = rows.filter((row) => row.group === group && row.committed !== null).sort(byPlace)
  t.strictSame(
    mine.map(({ group, topic, partition, committed, end, lag }) => ({ group, topic, partition, committed, end, lag })),
    wanted,
  )
  t.strictSame(Object.keys(rows[0]!), [
    ...['group', 'topic', 'partition', 'committed', 'end', 'lag', 'oldestAgeMs', 'state', 'reasons', 'etaMs'],
  ])
  t.equal(rows.length, 3 * 2 * 3, 'three groups, a topic and its retries each, three partitions')
  const stalled = mine.find(({ lag }) => lag === 7)!
  t.match(stalled, { state: 'stalled', reasons: ['no-member'], etaMs: null }, 'nobody runs the stage')
  t.ok((stalled['oldestAgeMs'] as number) > 0 && (stalled['oldestAgeMs'] as number) < 240_000)
})

t.test('for people: the oldest record on top, its age first, and a line a stage', async (t) => {
  const { stdout, code } = await sluice([])
  t.equal(code, 0)
  const [heading, first] = stdout.split('\n')
  t.match(heading, /^ *OLDEST +ETA +LAG +COMMITTED +END +STATE +GROUP +TOPIC +PARTITION +REASONS/)
  t.match(first, /^.+s +- +1 +- +1 +stalled .*pages\.processed .*no-member/)
  t.match(
    stdout,
    /\ncrawler: nothing to do\nprocessor: oldest .*, no end in sight, 9 to do; .* stalled \(no-member\)\nchunker: /,
  )
})

t.test('--watch prints again and again until it is ended, and then ends well', async (t) => {
  const child = start(['--watch', '--json'])
  let lines = ''
  for await (const data of child.stdout) {
    lines += String(data)
    if (parse(lines.slice(0, lines.lastIndexOf('\n'))).length >= 2 * 18) break
  }
  child.kill('SIGINT')
  const [code] = (await once(child, 'exit')) as [number | null]
  t.equal(code, 0)
})

t.test('without a broker it says so, with what to do', async (t) => {
  const { stdout, stderr, code } = await sluice([], { KAFKA_BROKERS: '127.0.0.1:1' })
  t.match({ stdout, code }, { stdout: '', code: 1 })
  t.match(stderr, /KAFKA_BROKERS/)
})

t.test('without the registry or Postgres it shows what the broker knows, and says what is missing', async (t) => {
  const away = { SCHEMA_REGISTRY_URL: 'http://127.0.0.1:1', DATABASE_URL: 'postgres://u:p@127.0.0.1:1/x' }
  const { stdout, stderr, code } = await sluice(['--json'], away)
  t.equal(code, 0)
  t.match(stderr, /commands in force are not known/)
  t.match(
    parse(stdout).find(({ lag }) => lag === 7),
    { state: 'stalled', reasons: ['no-member'] },
  )
})
