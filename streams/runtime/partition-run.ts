/**
 * The work on one partition during one assignment. Fetched records wait in its window; each tenant that has one asks the
 * stage's gate for a place, so the gate decides between tenants and partitions alike. Records run beside each other,
 * those of one page in order. Nothing here blocks the consumer: fetching goes on until the window is full, then the
 * partition pauses, and its work goes on.
 */
import type { Gate, Release } from '../throttle/ports.ts'
import type { Outcome, Stage } from '../outcome.ts'
import { StageError } from '../errors.ts'
import type { Assignment } from './assignments.ts'
import { createKeyedLanes } from './keyed-lanes.ts'
import type { PauseScheduler } from './pause-scheduler.ts'
import type { Clock } from './ports.ts'
import { failed, handleRecord, readRecord } from './record.ts'
import type { ReadRecord } from './record.ts'
import type { RawRecord } from './settle.ts'
import { bytesOf, createWindow } from './window.ts'
import type { WindowSpace } from './window.ts'

export interface PartitionRun {
  /**
   * Records of a fetched batch, in order of their offsets. `endsAt`: the offset behind the batch, with the control
   * records behind its last record, which never reach a consumer and would look like lag for ever.
   */
  readonly accept: (records: readonly RawRecord[], endsAt: bigint) => void
  /** What held work up is gone: look again. */
  readonly kick: () => void
  /** Resolves when nothing is under way any more; new work starts only if the partition may work. */
  readonly idle: () => Promise<void>
  readonly inFlight: () => number
  /** Since when the record longest under way is; undefined: none is. */
  readonly oldestStartMs: () => number | undefined
  /** Timestamp of the oldest record that is not settled; undefined: there is none. */
  readonly oldestRecordMs: () => number | undefined
  /** The partition was lost: what waits is dropped, what is under way settles nothing. */
  readonly close: () => void
}

export interface RunDependencies<Value extends { tenant_id: string }, Deps> {
  readonly name: string
  readonly stage: Stage<Value, Deps>
  readonly deps: Deps
  readonly decode: (value: Buffer) => Promise<Value>
  readonly scheduler: PauseScheduler
  readonly gate: Gate
  /** Settles one record; false: the partition cannot go on now, and the record comes again. */
  readonly settled: (raw: RawRecord, work: () => Promise<Outcome>) => Promise<boolean>
  /** By a command of an operator. */
  readonly tenantPaused: (tenantId: string) => boolean
  readonly draining: () => boolean
  readonly lane: 'live' | 'replay'
  /**
   * Outcomes of this process by record, kept until they are settled: what was under way or could not be written is not
   * worked out, nor paid for, a second time when a rebalance or an outage delivers its record again.
   */
  readonly inHand: Map<string, Promise<Outcome>>
  readonly space: WindowSpace
  readonly onSettled: (assignment: Assignment) => void
  readonly clock: Clock
  readonly recordTimeoutMs: number
  readonly isHeldBack: () => boolean
  /** What a tenant's own limits count beside records; undefined: nothing. */
  readonly takesOf?: (tenantId: string, cost: number) => Readonly<Record<string, number>> | undefined
}

/** Why fetching waits while work goes on. */
const fetchReasons = ['rate', 'tenant', 'retry-due'] as const
/** An outcome in hand whose record was delivered to another instance. */
const FORGET_AFTER_MS = 60_000

export function createPartitionRun<Value extends { tenant_id: string }, Deps>(
  assignment: Assignment,
  d: RunDependencies<Value, Deps>,
): PartitionRun {
  const { at, watermark } = assignment
  const { clock, gate, scheduler } = d
  const window = createWindow(d.space)
  const lanes = createKeyedLanes()
  const lost = new AbortController()
  /** Tenants that stand at the gate; those that have a record and do not, nor are paused. */
  const waiting = new Set<string>()
  const startable = new Set<string>()
  const takes = { [`${d.name}_records`]: 1 }
  const underWay = new Map<RawRecord, number>()
  /** Not settled, in order of their offsets: the first is the oldest. */
  const unsettled = new Map<bigint, number>()
  /** By page: records that were put back. Later ones of their page that are on their way go back too, behind them. */
  const returned = new Map<string, Set<bigint>>()
  /** Under which key: one that could not be decoded then had no page. */
  const returnedAs = new Map<bigint, string>()
  const mine = new Map<string, Promise<Outcome>>()
  const whenIdle: (() => void)[] = []
  /** Decoding keeps the order of the log, so that records of a page reach their lane in order. */
  let reading: Promise<void> = Promise.resolve()
  let endOfBatch = 0n
  let pumping = false
  let full = false
  let cancelWake: (() => void) | undefined

  const mayWork = () => assignment.alive && assignment.ready && !d.draining() && !scheduler.isBlocked(at)
  /** A dependency is being tried again through this partition: one record at a time until one has succeeded. */
  const mayStart = () => mayWork() && !(assignment.probing && underWay.size > 0)

  function pump() {
    if (pumping) return
    pumping = true
    let started = true
    while (started) {
      started = false
      for (const tenant of startable) {
        if (!mayStart()) break
        if (!window.head(tenant) || d.tenantPaused(tenant)) startable.delete(tenant)
        else started = start(tenant) || started
      }
    }
    pumping = false
    room()
  }
  /** @returns whether it was started at once; else its tenant stands at the gate now. */
  function start(tenant: string): boolean {
    const release = gate.tryAcquire(askOf(tenant))
    if (release) begin(tenant, release)
    else void wait(tenant)
    return release !== undefined
  }
  function askOf(tenantId: string) {
    // Bytes / 4 is about the number of tokens: what the record will cost downstream.
    const cost = Math.ceil(bytesOf(window.head(tenantId)!) / 4)
    const more = d.takesOf?.(tenantId, cost)
    return { tenantId, lane: d.lane, cost, takes: more ? { ...takes, ...more } : takes }
  }
  async function wait(tenant: string) {
    waiting.add(tenant)
    startable.delete(tenant)
    try {
      const release = await gate.acquire(askOf(tenant), lost.signal)
      waiting.delete(tenant)
      if (mayStart() && window.head(tenant) && !d.tenantPaused(tenant)) begin(tenant, release)
      else release({ kind: 'unsent', latencyMs: 0 })
      offer(tenant)
      pump()
    } catch {
      waiting.delete(tenant) // the partition was lost
    }
  }
  /** This tenant may have a record to start. */
  function offer(tenant: string) {
    if (!waiting.has(tenant)) startable.add(tenant)
  }
  function offerAll() {
    for (const tenant of window.tenants()) offer(tenant)
  }
  function begin(tenant: string, release: Release) {
    const raw = window.take(tenant)!
    underWay.set(raw, clock.now())
    reading = reading.then(async () => {
      const { input, key: page } = await read(raw)
      // Two tenants may have one URL, and neither may hold up the other.
      const key = `${tenant}\0${page}`
      void lanes.run(key, () => work(raw, input, key)).finally(() => ended(raw, release))
    })
  }
  async function work(raw: RawRecord, input: ReadRecord<Value> | Error, key: string): Promise<void> {
    if (!mayWork() || isBehind(raw, key)) return putBack(raw, key)
    returnedAs.delete(raw.offset)
    const id = idOf(raw)
    const goOn = await d.settled(raw, () => outcomeOf(id, input))
    if (goOn) {
      d.inHand.delete(id)
      mine.delete(id)
      unsettled.delete(raw.offset)
      window.forget(raw)
      passTrailing()
      d.onSettled(assignment)
    } else putBack(raw, key)
  }
  function putBack(raw: RawRecord, key: string) {
    const ofPage = returned.get(key) ?? new Set()
    returned.set(key, ofPage.add(raw.offset))
    returnedAs.set(raw.offset, key)
    window.putBack(raw)
    offer(raw.tenantId)
  }
  /** An earlier record of its page was put back and has not come again. */
  function isBehind({ offset }: RawRecord, key: string): boolean {
    const before = returnedAs.get(offset)
    if (before !== undefined && before !== key) forgetReturned(before, offset)
    const ofPage = returned.get(key)
    if (!ofPage) return false
    for (const earlier of ofPage) if (earlier < offset) return true
    forgetReturned(key, offset)
    return false
  }
  function forgetReturned(key: string, offset: bigint) {
    const ofPage = returned.get(key)
    ofPage?.delete(offset)
    if (ofPage?.size === 0) returned.delete(key)
  }
  function ended(raw: RawRecord, release: Release) {
    underWay.delete(raw)
    release()
    if (underWay.size === 0) for (const resolve of whenIdle.splice(0)) resolve()
    if (assignment.alive) pump()
  }
  function outcomeOf(id: string, input: ReadRecord<Value> | Error): Promise<Outcome> {
    const known = d.inHand.get(id)
    if (known) return known
    if (input instanceof Error) return Promise.resolve(failed(input))
    const made = handleRecord(d.stage, d.deps, input, {
      clock,
      timeoutMs: d.recordTimeoutMs,
      isHeldBack: d.isHeldBack,
    })
    d.inHand.set(id, made)
    mine.set(id, made)
    made.catch(() => forget(id, made))
    return made
  }
  function forget(id: string, made: Promise<Outcome>) {
    mine.delete(id)
    if (d.inHand.get(id) === made) d.inHand.delete(id)
  }
  async function read(raw: RawRecord): Promise<{ input: ReadRecord<Value> | Error; key: string }> {
    try {
      const input = await readRecord(raw, d.decode)
      return { input, key: d.stage.orderKey(input.value) }
    } catch (error) {
      return { input: toError(error), key: String(raw.offset) }
    }
  }

  function passTrailing() {
    if (window.held() === 0) watermark.passTo(endOfBatch)
  }

  /** Fetches on while there is room; else the partition waits, for whatever its work waits for. */
  function room() {
    if (!assignment.alive) return
    if (full ? !window.hasRoom() : !window.isFull()) return
    full = !full
    if (full) scheduler.pause(at, pausedFor())
    else for (const reason of fetchReasons) scheduler.lift(at, reason)
  }
  function pausedFor() {
    for (const tenant of window.tenants()) {
      if (d.tenantPaused(tenant)) continue
      return gate.waitMs(askOf(tenant)).reason === 'tenant' ? 'tenant' : 'rate'
    }
    return waiting.size + underWay.size > 0 ? 'rate' : cancelWake ? 'retry-due' : 'tenant'
  }
  function wake() {
    cancelWake?.()
    cancelWake = undefined
    const nextMs = window.wake(clock.now())
    if (nextMs !== undefined) cancelWake = clock.after(nextMs - clock.now(), wake)
    offerAll()
    pump()
  }

  return {
    accept: (records, endsAt) => {
      const nowMs = clock.now()
      endOfBatch = endsAt
      let later = false
      for (const raw of records) {
        if (!watermark.begin(raw.offset)) continue
        const { dueMs, timestampMs } = raw.travelled
        later ||= dueMs > nowMs
        window.add(raw, dueMs > nowMs ? dueMs : 0)
        offer(raw.tenantId)
        unsettled.set(raw.offset, timestampMs)
      }
      passTrailing()
      if (later) wake()
      else pump()
    },
    kick: () => {
      offerAll()
      pump()
    },
    idle: () => (underWay.size === 0 ? Promise.resolve() : new Promise((resolve) => void whenIdle.push(resolve))),
    inFlight: () => underWay.size,
    oldestStartMs: () => underWay.values().next().value,
    oldestRecordMs: () => unsettled.values().next().value,
    close: () => {
      lost.abort(new Error('the partition was lost'))
      cancelWake?.()
      window.close()
      // A pause of ours would be nobody's, and a partition that was only claimed anew would never be fetched again.
      if (full) for (const reason of fetchReasons) scheduler.lift(at, reason)
      full = false
      // Its records may come back to this process within a while, or go to another for good.
      const forgetMine = () => {
        for (const [id, made] of [...mine]) forget(id, made)
      }
      if (d.draining()) forgetMine()
      else if (mine.size > 0) clock.after(FORGET_AFTER_MS, forgetMine)
    },
  }
}

/** The same record at its redelivery; a topic made anew has other times. */
const idOf = ({ assignment: { at }, offset, travelled }: RawRecord) =>
  `${at.topic}/${at.partition}/${offset}@${travelled.timestampMs}`

const toError = (error: unknown): Error =>
  error instanceof Error ? error : new StageError('unexpected', String(error), { retriable: true })
