/** The loop of one stage around one partition, with fakes for Kafka, its effects and its clock: what run-stage.ts wires. */
import type { EachBatchPayload } from 'kafkajs'
import type { InputRecord, Outcome } from '../../streams/outcome.ts'
import type { Assignment } from '../../streams/runtime/assignments.ts'
import { createCommitter } from '../../streams/runtime/commit.ts'
import { createDependencyWatch } from '../../streams/runtime/dependency-watch.ts'
import type { OutcomesInHand } from '../../streams/runtime/in-hand.ts'
import { createIntake } from '../../streams/runtime/intake.ts'
import { createRuns } from '../../streams/runtime/partition-runs.ts'
import { createPauseScheduler } from '../../streams/runtime/pause-scheduler.ts'
import { partitionKey } from '../../streams/runtime/ports.ts'
import { createRecordSettler } from '../../streams/runtime/record-settler.ts'
import type { Settle } from '../../streams/runtime/settle.ts'
import type { Writer } from '../../streams/runtime/writer.ts'
import { createFakeClock } from './fake-clock.ts'
import type { FakeClock } from './fake-clock.ts'
import { deferred, fakeAssignment, fakeBreakers, fakeConsumer, fakeGate, fakeLogger } from './runtime-fakes.ts'
import type { Deferred, FakeMessage } from './runtime-fakes.ts'

export interface Value {
  readonly tenant_id: string
  readonly page: string
}
export const done: Outcome = { kind: 'done', reason: 'ok' }
export const value = (page: string, tenant = 'acme') => JSON.stringify({ tenant_id: tenant, page })
export const pages = (...names: string[]): FakeMessage[] =>
  names.map((name, offset) => ({ offset, value: value(name) }))

interface Options {
  readonly assignment?: Assignment
  readonly handle?: (record: InputRecord<Value>, offset: number) => Promise<Outcome>
  readonly settle?: Settle
  readonly flush?: Writer['flush']
  readonly orderKey?: (value: Value) => string
  readonly limit?: number
  readonly bounds?: () => Promise<{ low: bigint; high: bigint }>
}

export function stageLoop(options: Options = {}) {
  const clock = createFakeClock()
  const consumer = fakeConsumer()
  const logger = fakeLogger()
  const gate = fakeGate(options.limit ?? 8)
  const breakers = fakeBreakers()
  const scheduler = createPauseScheduler({
    consumer,
    clock,
    resumeGapMs: 10,
    random: () => 0.5,
    onResume: (at) => runs.kick(at),
  })
  const watch = createDependencyWatch({
    breakers,
    reportedElsewhere: new Set(),
    clock,
    logger,
    pauseMs: 500,
    random: () => 0.5,
  })
  const current = new Map<string, Assignment>()
  const own = (assignment: Assignment) => void current.set(partitionKey(assignment.at), assignment)
  const assignment = options.assignment ?? fakeAssignment()
  own(assignment)
  const state = {
    draining: false,
    halted: '',
    reclaimed: 0,
    boundsAsked: 0,
    pausedTenants: new Set<string>(),
  }
  const settledOffsets: bigint[] = []
  const writer: Writer | null = options.flush
    ? { write: () => Promise.reject(new Error('unused')), flush: options.flush }
    : null
  const assignments = {
    get: (at: { topic: string; partition: number }) => current.get(partitionKey(at)),
    all: () => [...current.values()],
    replace: () => {},
    reclaim: (one: Assignment) => {
      state.reclaimed += 1
      one.alive = false
    },
    halt: (one: Assignment, reason: string) => {
      one.ready = false
      scheduler.pause(one.at, 'offset-guard')
      state.halted = reason
    },
  }
  const settle: Settle = async (outcome, raw) => {
    const what = options.settle ? await options.settle(outcome, raw) : outcome.kind
    settledOffsets.push(raw.offset)
    return what
  }
  const { settled, flush } = createRecordSettler({
    ...{ name: 'processor', assignments, scheduler, settle, writer, clock, logger, observer: {} },
    watch: watch.forStage(scheduler),
  })
  const committer = createCommitter({ flush, consumer: { commitOffsets: async () => {} }, clock, logger })
  const inHand: OutcomesInHand = new Map()
  const runs = createRuns<Value, object>({
    name: 'processor',
    stage: {
      orderKey: options.orderKey ?? ((page) => page.page),
      handle: (record) =>
        options.handle ? options.handle(record, Number(record.id.split('/').at(-1))) : Promise.resolve(done),
    },
    deps: {},
    decode: async (bytes) => JSON.parse(bytes.toString()) as Value,
    ...{ scheduler, gate, settled, clock, inHand, lane: 'live', space: { bytes: 0 } },
    tenantPaused: (tenant) => state.pausedTenants.has(tenant),
    draining: () => state.draining,
    onSettled: committer.settled,
    recordTimeoutMs: 45_000,
    maxRetryDelayMs: 60_000,
  })
  const intake = createIntake({
    ...{ assignments, runOf: runs.of, scheduler, committer, logger },
    logBounds: async () => {
      state.boundsAsked += 1
      return options.bounds ? options.bounds() : { low: 0n, high: 1_000n }
    },
    draining: () => state.draining,
  })
  return {
    ...{ clock, consumer, logger, gate, breakers, scheduler, watch, assignment, own, state, runs, committer, inHand },
    settled: settledOffsets,
    intake: intake.batch,
    passed: intake.passed,
    /** Hands a batch in and lets all that can settle do so, with the commit that follows. */
    take: async (payload: EachBatchPayload) => {
      await intake.batch(payload)
      await clock.advance(300)
    },
  }
}

/** Handlers that end when the test says so. */
export function heldHandlers() {
  const open = new Map<number, Deferred<Outcome>>()
  const started: number[] = []
  return {
    started,
    handle: (_record: InputRecord<Value>, offset: number) => {
      started.push(offset)
      const gate = deferred<Outcome>()
      open.set(offset, gate)
      return gate.promise
    },
    end: async (clock: FakeClock, ...offsets: number[]) => {
      for (const offset of offsets) open.get(offset)!.resolve(done)
      await clock.settle()
    },
    fail: async (clock: FakeClock, offset: number, error: unknown) => {
      open.get(offset)!.reject(error)
      await clock.settle()
    },
  }
}
