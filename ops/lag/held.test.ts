/**
 * A deliberate pause never reads as a stall, and a real stall is never hidden by a pause: with processes of their own, a
 * real broker and a real database.
 */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { createControlChannel } from '../../connectors/kafka/control.ts'
import { pauseKey } from '../../streams/throttle/control-state.ts'
import type { StageName } from '../../streams/topology.ts'
import { crawledPage, processedPage } from '../testing/events.ts'
import { eventually } from '../testing/eventually.ts'
import { createWorld } from '../testing/world.ts'
import { createLagSource } from './source.ts'
import type { LagRow } from './source.ts'

t.setTimeout(400_000)
const world = await createWorld({ partitions: 3 })
const { services } = world
const control = createControlChannel({
  ...{ kafka: services.kafka('control'), topic: `${world.prefix}pipeline.control`, logger: services.logger },
  ...{ produce: services.producer.produce, instance: randomUUID() },
  encode: (value) => services.codec.encode('pipeline.control', value),
  decode: (value) => services.codec.decode('pipeline.control', value),
})
await control.start()
const source = createLagSource(services, { control: control.state, cacheMs: 0 })
const seen: string[] = []
t.teardown(async () => {
  await Promise.all([source.close(), control.close()])
  await world.close()
})
t.beforeEach(() => void (seen.length = 0))

const said = ({ state, reasons }: LagRow) => [state, ...reasons].join(' ')
/** Partition 0 of the stage's topic. */
async function look(stage: StageName, from = source): Promise<LagRow> {
  const row = (await from.rows()).find((one) => one.stage === stage && one.partition === 0)!
  if (row.lag > 0 && seen.at(-1) !== said(row)) seen.push(said(row))
  return row
}
const until = (stage: StageName, wanted: string, from = source) =>
  eventually(
    `${stage} is ${wanted}`,
    () => look(stage, from),
    (row) => row.lag > 0 && said(row) === wanted,
    90_000,
  )

const pauseOf = (stage: StageName) => ({ stage, tenant: '', partition: -1 })
const pause = (stage: StageName) =>
  control.publish(pauseKey(pauseOf(stage)), { command: 'PAUSE', stage, reason: 'test' })
const resume = (stage: StageName) => control.publish(pauseKey(pauseOf(stage)), null)
const [tenant] = world.tenants as [string]
const pages = (count: number, name: string) =>
  Array.from({ length: count }, (_, i) => crawledPage(tenant, `${name}-${i}`))

t.test('an operator’s pause is a pause for as long as its owner lives, and a stall once it was killed', async (t) => {
  const stage = await world.spawnStages(['processor'])
  await pause('processor')
  await world.produce('pages.crawled', pages(4, 'held'))
  const row = await until('processor', 'paused operator')
  t.match(row, { lag: 4, committed: null, end: 4, etaMs: null })
  t.ok(row.oldestAgeMs! >= 0 && row.oldestAgeMs! < 400_000, 'of a record that nobody has fetched')
  await stage.end('SIGKILL')
  await until('processor', 'stalled operator no-member')
  t.notMatch(
    seen.slice(seen.indexOf('paused operator')).slice(1, -1).join(),
    /stalled/,
    'not before its session had ended',
  )

  await world.spawnStages(['processor'])
  await until('processor', 'paused operator')
  await resume('processor')
  await world.drained('processor')
  t.match(await look('processor'), { state: 'running', reasons: [], lag: 0, oldestAgeMs: null, etaMs: 0 })
})

t.test('a dependency that hangs pauses its partitions in the end, and never reads as a stall', async (t) => {
  const stage = await world.spawnStages(['chunker'])
  world.embeddings.setFaults({ next: [{ kind: 'hang', times: 10_000 }] })
  await world.produce('pages.processed', [processedPage(tenant, 'hangs')])
  await eventually(
    'it was asked',
    () => world.embeddings.log.length,
    (count) => count > 0,
  )
  await eventually(
    'it is paused for its dependency',
    () => look('chunker'),
    (row) => said(row).startsWith('paused dependency:embeddings'),
    240_000,
  )
  t.notMatch(seen.join(), /stalled/)
  world.embeddings.setFaults({})
  await world.drained('chunker')
  await stage.end('SIGTERM')
})

t.test('a stage that was stopped cleanly leaves no report, and what it leaves undone is nobody’s', async (t) => {
  await world.produce('pages.processed', [processedPage(tenant, 'left')])
  await until('chunker', 'stalled no-member')
  t.same(await world.db('stage_reports').where({ stage: 'chunker' }), [])
})
