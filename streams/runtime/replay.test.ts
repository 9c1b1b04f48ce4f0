/** A replay over a real broker: bounded, in its own group, resumable, and over control records. */
import t from 'tap'
import { readConfig } from '../../ops/config.ts'
import { createPositionReader } from '../../connectors/kafka/positions.ts'
import { processedPage } from '../../ops/testing/events.ts'
import { fakeBreakers, fakeGate, fakeLogger } from '../../ops/testing/runtime-fakes.ts'
import { createWorld } from '../../ops/testing/world.ts'
import type { PageProcessed } from '../../schemas/generated/types.ts'
import type { Outcome } from '../outcome.ts'
import type { Ask } from '../throttle/ports.ts'
import { createDependencyWatch } from './dependency-watch.ts'
import { systemClock } from './ports.ts'
import { withinRange } from './replay.ts'
import type { Range, Replay } from './replay.ts'
import { runStage } from './run-stage.ts'

t.setTimeout(120_000)
const world = await createWorld({ partitions: 3 })
t.teardown(world.close)
const { services, prefix, db, admin, tenants } = world
const topic = `${prefix}pages.processed`

/** The chunker's loop with a handler that only notes what it is given. */
async function replay(given: { group: string; ranges: Record<number, Range>; accepts?: Replay['accepts'] }) {
  const handled: string[] = []
  const lanes = new Set<string>()
  const open = fakeGate()
  const gate = {
    ...open,
    tryAcquire: (ask: Ask) => {
      lanes.add(ask.lane)
      return open.tryAcquire(ask)
    },
  }
  const logger = fakeLogger()
  const stage = await runStage<PageProcessed, object>({
    name: 'chunker',
    stage: {
      orderKey: (page) => page.source_id,
      handle: ({ id }): Promise<Outcome> => {
        handled.push(id.slice(topic.length + 1))
        return Promise.resolve({ kind: 'done', reason: 'seen' })
      },
    },
    deps: {},
    kafka: services.kafka('replay'),
    positions: createPositionReader(services.kafka('replay-positions')),
    produce: services.producer.produce,
    codec: services.codec,
    store: services.store,
    prefix,
    settings: { ...readConfig({}).kafka, ...readConfig({}).runtime, writeConcurrency: () => 1 },
    gate,
    watch: createDependencyWatch({
      ...{ breakers: fakeBreakers(), reportedElsewhere: new Set(), clock: systemClock, logger, pauseMs: 500 },
    }),
    orders: {
      isPaused: () => false,
      isTenantPaused: () => false,
      pausedTenants: () => [],
      onChange: () => () => {},
    },
    clock: systemClock,
    logger,
    observer: {},
    onFatal: (error) => t.fail(error.message),
    replay: {
      group: given.group,
      ranges: new Map(Object.entries(given.ranges).map(([number, range]) => [Number(number), range])),
      ...(given.accepts && { accepts: given.accepts }),
    },
  })
  await stage.finished
  const topics = stage.assignments().map(({ at }) => at.topic)
  t.ok(await stage.stop(), 'left in order')
  return { handled, lanes: [...lanes], topics: [...new Set(topics)] }
}
const range = (from: number, to: number): Range => ({ from: BigInt(from), to: BigInt(to) })
async function committed(group: string) {
  const [one] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
  return Object.fromEntries(one!.partitions.map(({ partition, offset }) => [partition, Number(offset)]))
}
async function ledger(group: string) {
  const rows = await db('stage_offsets').where({ consumer_group: group })
  return Object.fromEntries(rows.map((row) => [row.partition, Number(row.next_offset)]))
}
const pages = (partition: number, count: number) =>
  Array.from({ length: count }, (_, index) => processedPage(tenants[partition]!, `${index}`))

await world.produce('pages.processed', [...pages(0, 12), ...pages(1, 5), ...pages(2, 3)])

void t.test('only the records of its ranges, in a group and a ledger of its own', async (t) => {
  const group = `${prefix}replay.bounded`
  const { handled, lanes, topics } = await replay({ group, ranges: { 0: range(2, 6), 1: range(4, 5) } })
  t.strictSame(handled.sort(), ['0/2', '0/3', '0/4', '0/5', '1/4'])
  t.strictSame(await committed(group), { 0: 6, 1: 5, 2: -1 })
  t.strictSame(await ledger(group), { 0: 6, 1: 5 })
  t.strictSame(await ledger(`${prefix}sluice.chunker`), {}, 'the live ledger is untouched')
  t.strictSame(await committed(`${prefix}sluice.chunker`), { 0: -1, 1: -1, 2: -1 }, 'and so is the live group')
  t.strictSame(lanes, ['replay'])
  t.strictSame(topics, [topic], 'the retry topic is the live stage’s')
})

void t.test('started again it goes on behind what was committed', async (t) => {
  const group = `${prefix}replay.resumed`
  await replay({ group, ranges: { 0: range(2, 6) } })
  const { handled } = await replay({ group, ranges: { 0: range(2, 9) } })
  t.strictSame(handled.sort(), ['0/6', '0/7', '0/8'])
})

void t.test('a record that it does not accept counts as done without being handed over', async (t) => {
  const group = `${prefix}replay.chosen`
  const { handled } = await replay({
    group,
    ranges: { 0: range(0, 3), 1: range(0, 5) },
    accepts: ({ key }) => key === tenants[1],
  })
  t.strictSame(handled.sort(), ['1/0', '1/1', '1/2', '1/3', '1/4'])
  t.strictSame(await committed(group), { 0: 3, 1: 5, 2: -1 })
})

void t.test('an empty range is finished at once', async (t) => {
  const { handled } = await replay({ group: `${prefix}replay.empty`, ranges: { 0: range(3, 3), 1: range(9, 2) } })
  t.strictSame(handled, [])
})

void t.test('control records at the end of a range do not hang it, alone or behind records', async (t) => {
  const producer = services
    .kafka('tx')
    .producer({ transactionalId: `${prefix}tx`, maxInFlightRequests: 1, idempotent: true })
  await producer.connect()
  const transaction = await producer.transaction()
  const value = await services.codec.encode('pages.processed', pages(2, 1)[0]!)
  await transaction.send({ topic, messages: [{ key: tenants[2]!, value, partition: 2 }] })
  await transaction.commit()
  await producer.disconnect()
  const high = Number((await admin.fetchTopicOffsets(topic)).find(({ partition }) => partition === 2)!.high)
  t.equal(high, 5, 'three records, one of the transaction and its marker')
  const behind = `${prefix}replay.marker`
  t.strictSame((await replay({ group: behind, ranges: { 2: range(3, high) } })).handled, ['2/3'])
  t.strictSame(await committed(behind), { 0: -1, 1: -1, 2: high })
  const alone = `${prefix}replay.marker-alone`
  t.strictSame((await replay({ group: alone, ranges: { 2: range(4, high) } })).handled, [])
  t.strictSame(await committed(alone), { 0: -1, 1: -1, 2: high })
  t.strictSame(await ledger(alone), { 2: high })
})

void t.test('what stands before the range says nothing of it', async (t) => {
  const known = (committed: bigint | null, ledger: bigint | null | undefined) =>
    withinRange({ committed, ledger, low: 0n, high: 90n }, range(10, 20))
  t.strictSame(known(3n, 3n), { committed: null, ledger: null, low: 10n, high: 90n })
  t.strictSame(known(12n, undefined), { committed: 12n, ledger: undefined, low: 10n, high: 90n })
})
