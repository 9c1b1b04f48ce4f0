/** A whole stage around a consumer in the hands of the test: signs of life, rebalances, and how it ends. */
import type { EachBatchPayload, Kafka } from 'kafkajs'
import t from 'tap'
import { createFakeClock } from '../../ops/testing/fake-clock.ts'
import {
  deferred,
  fakeBreakers,
  fakeConsumer,
  fakeGate,
  fakeLogger,
  fakePayload,
  partition,
} from '../../ops/testing/runtime-fakes.ts'
import { done, pages } from '../../ops/testing/stage-loop.ts'
import type { Value } from '../../ops/testing/stage-loop.ts'
import type { Outcome } from '../outcome.ts'
import { createDependencyWatch } from './dependency-watch.ts'
import { partitionKey } from './ports.ts'
import type { OutgoingMessage } from './ports.ts'
import { runStage } from './run-stage.ts'

const names = ['GROUP_JOIN', 'FETCH', 'HEARTBEAT', 'END_BATCH_PROCESS', 'REBALANCING', 'DISCONNECT', 'CRASH'] as const
type Name = (typeof names)[number]
const REBALANCE_MS = 60_000
const RECORD_MS = 45_000
const DRAIN_MS = 20_000

function fakeClient() {
  const pausable = fakeConsumer()
  const listeners = new Map<Name, ((event: { payload: unknown }) => void)[]>(names.map((name) => [name, []]))
  let eachBatch: (payload: EachBatchPayload) => Promise<void> = async () => {}
  const left = deferred()
  const emit = (name: Name, payload: unknown = {}) => {
    for (const call of listeners.get(name)!) call({ payload })
  }
  const consumer = {
    ...pausable,
    events: Object.fromEntries(names.map((name) => [name, name])),
    on: (name: Name, call: (event: { payload: unknown }) => void) => void listeners.get(name)!.push(call),
    connect: async () => {},
    subscribe: async () => {},
    run: async (given: { eachBatch: typeof eachBatch }) => void (eachBatch = given.eachBatch),
    seek: () => {},
    disconnect: async () => left.resolve(),
  }
  return {
    kafka: { consumer: () => consumer } as unknown as Kafka,
    paused: pausable.paused,
    emit,
    left: left.promise,
    join: (...partitions: number[]) => emit('GROUP_JOIN', { memberAssignment: { 'pages.crawled': partitions } }),
    batch: (payload: EachBatchPayload) => eachBatch(payload),
  }
}

async function setup(given: { handle?: () => Promise<Outcome>; produce?: () => Promise<void> } = {}) {
  const clock = createFakeClock()
  const logger = fakeLogger()
  const client = fakeClient()
  const produced: OutgoingMessage[] = []
  const orders = { paused: new Set<number>(), obey: () => {} }
  const stage = await runStage<Value, object>({
    ...{ name: 'processor', deps: {}, kafka: client.kafka, prefix: '', gate: fakeGate(), clock, logger, observer: {} },
    stage: { orderKey: ({ page }) => page, handle: given.handle ?? (() => Promise.resolve(done)) },
    positions: {
      connect: async () => {},
      close: async () => {},
      read: async (_group, all) => new Map(all.map((at) => [partitionKey(at), { committed: 0n, low: 0n, high: 9n }])),
    },
    produce: given.produce ?? (async (messages) => void produced.push(...messages)),
    codec: { encode: async () => Buffer.alloc(1), decode: async (_topic, bytes) => JSON.parse(bytes.toString()) },
    store: null as never,
    settings: {
      ...{ sessionTimeoutMs: 10_000, heartbeatIntervalMs: 3_000, rebalanceTimeoutMs: REBALANCE_MS, maxWaitMs: 500 },
      ...{ maxBytesPerPartition: 1, recordTimeoutMs: RECORD_MS, drainTimeoutMs: DRAIN_MS, retryDelaysMs: [1_000] },
      ...{ resumeGapMs: 10, writeConcurrency: () => 1 },
    },
    watch: createDependencyWatch({
      ...{ breakers: fakeBreakers(), reportedElsewhere: new Set(), clock, logger, pauseMs: 500 },
    }),
    orders: {
      isPaused: (_stage, number) => orders.paused.has(number),
      isTenantPaused: () => false,
      pausedTenants: () => [],
      onChange: (call) => ((orders.obey = call), () => {}),
    },
    onFatal: (error) => t.fail(error.message),
  })
  return { clock, logger, stage, orders, produced, ...client }
}

void t.test('it is alive while the consumer’s loop gives signs, and not when it falls silent', async (t) => {
  const { stage, clock, emit, join } = await setup()
  join(0)
  for (const event of ['HEARTBEAT', 'FETCH', 'END_BATCH_PROCESS'] as const) {
    await clock.advance(2 * REBALANCE_MS - 1)
    t.ok(stage.isAlive())
    emit(event, { batchSize: 1 })
  }
  await clock.advance(2 * REBALANCE_MS)
  t.notOk(stage.isAlive())
})

void t.test(
  'a record whose effect never ends makes it unwell; one that is replaced by its deadline does not',
  async (t) => {
    for (const [given, alive] of [
      [{ handle: () => Promise.resolve<Outcome>({ kind: 'emit', records: [outgoing] }), produce: never }, false],
      [{ handle: () => new Promise<never>(() => {}) }, true],
    ] as const) {
      const { stage, clock, batch, join, emit } = await setup(given)
      join(0)
      await clock.advance(100)
      await batch(fakePayload({ messages: pages('a') }).payload)
      for (let ms = 0; ms < 4 * RECORD_MS; ms += REBALANCE_MS) {
        await clock.advance(REBALANCE_MS)
        emit('HEARTBEAT')
      }
      t.equal(stage.isAlive(), alive)
    }
  },
)
const never = () => new Promise<void>(() => {})
const outgoing = { topic: 'pages.processed', tenantId: 'acme', value: {} } as const

void t.test('a drain ends what is under way, and tries its commit again until it is taken', async (t) => {
  const work = deferred<Outcome>()
  const { stage, clock, batch, join, left } = await setup({ handle: () => work.promise })
  join(0)
  await clock.advance(100)
  let refusals = 3
  const commit = () => {
    refusals -= 1
    if (refusals >= 0) throw new Error('coordinator is loading')
  }
  const { payload, committed } = fakePayload({ messages: pages('a'), commit })
  await batch(payload)
  await clock.settle()
  const stopped = stage.stop()
  await clock.advance(1_000)
  t.notOk(stage.isReady())
  t.strictSame(committed, [])
  work.resolve(done)
  await clock.advance(5_000)
  t.equal(await stopped, true)
  t.strictSame(committed, [1n])
  await left
})

void t.test('past the deadline of its drain it leaves without the record that hangs', async (t) => {
  const { stage, clock, batch, join, left, logger } = await setup({ handle: () => new Promise<never>(() => {}) })
  join(0)
  await clock.advance(100)
  const { payload, committed } = fakePayload({ messages: pages('a') })
  await batch(payload)
  await clock.settle()
  const stopped = stage.stop()
  await clock.advance(DRAIN_MS + 2_000)
  t.equal(await stopped, false)
  await left
  t.strictSame(committed, [], 'it is delivered again')
  t.match(
    logger.lines.filter(({ level }) => level === 'warn'),
    [{ message: /drain deadline passed/ }],
  )
})

void t.test('no member any more, it does not wait for a commit that nobody takes', async (t) => {
  const { stage, clock, batch, join, emit } = await setup()
  join(0)
  await clock.advance(100)
  const commit = () => {
    throw new Error('unknown member')
  }
  await batch(fakePayload({ messages: pages('a'), commit }).payload)
  emit('DISCONNECT')
  const stopped = stage.stop()
  await clock.advance(3_000)
  t.equal(await stopped, true)
})

void t.test(
  'a partition that is lost while paused and comes back is fetched; a command outlives the rebalance',
  async (t) => {
    const { clock, join, paused, orders } = await setup()
    orders.paused.add(0)
    join(0, 1)
    t.strictSame(
      paused,
      new Set(['pages.crawled/0', 'pages.crawled/1']),
      'nothing is fetched before its start is known',
    )
    await clock.advance(100)
    t.strictSame(paused, new Set([partitionKey(partition(0))]))
    join(1)
    await clock.advance(100)
    t.strictSame(paused, new Set(), 'kafkajs would keep a pause of a partition that is gone')
    join(0, 1)
    await clock.advance(100)
    t.strictSame(paused, new Set([partitionKey(partition(0))]))
    orders.paused.clear()
    orders.obey()
    await clock.advance(100)
    t.strictSame(paused, new Set())
  },
)
