/**
 * The work on one partition during one assignment. Fetched records wait in its window; each tenant that has one asks the
 * stage's gate for a place, so the gate decides between tenants and partitions alike. Records run beside each other,
 * those of one page in order. Nothing here blocks the consumer: fetching goes on until the window is full, then the
 * partition pauses, and its work goes on.
 */
import type { Release } from '../throttle/ports.ts'
import type { Outcome } from '../outcome.ts'
import { StageError } from '../errors.ts'
import type { Assignment } from './assignments.ts'
import { createFetchRoom } from './fetch-room.ts'
import { heldMs, workFor } from './hold.ts'
import type { Hold } from './hold.ts'
import { createInHand, idOf } from './in-hand.ts'
import { createPageTurns } from './page-turns.ts'
import type { PauseReason } from './pause-scheduler.ts'
import { detach, failed, handleRecord, readRecord } from './record.ts'
import type { ReadRecord } from './record.ts'
import type { RawRecord } from './settle.ts'
import type { PartitionRun, RunDependencies } from './run-ports.ts'
import { createStarts } from './starts.ts'
import { createWindow } from './window.ts'

interface UnderWay {
  readonly startMs: number
  /** Of a redelivered record whose work is under way already, that work's: hence what it had before. */
  hold: Hold | undefined
  heldBeforeMs: number
  readonly isProbe: boolean
}

export function createPartitionRun<Value extends { tenant_id: string }, Deps>(
  assignment: Assignment,
  d: RunDependencies<Value, Deps>,
): PartitionRun {
  const { at, watermark } = assignment
  const { clock, scheduler } = d
  const window = createWindow(d.space)
  const turns = createPageTurns()
  const inHand = createInHand(d.inHand, clock)
  const lost = new AbortController()
  const underWay = new Map<RawRecord, UnderWay>()
  /** Not settled, in order of their offsets: the first is the oldest. */
  const unsettled = new Map<bigint, number>()
  const whenIdle: (() => void)[] = []
  const timing = { clock, timeoutMs: d.recordTimeoutMs }
  /** Decoded beside each other, they go on in order of the log: so records of a page come to its turn in order. */
  let inOrder: Promise<void> = Promise.resolve()
  let endOfBatch = 0n
  let probes = 0
  let cancelWake: (() => void) | undefined
  let movedMs = clock.now()

  const mayWork = () => assignment.alive && assignment.ready && !d.draining() && !scheduler.isBlocked(at)
  const room = createFetchRoom({ at, scheduler, window, reason: pausedFor })
  const starts = createStarts({
    ...{ name: d.name, lane: d.lane, gate: d.gate, takesOf: d.takesOf, tenantPaused: d.tenantPaused },
    window,
    lost: lost.signal,
    // A dependency is being tried again through this partition: one record at a time until one has succeeded, beside
    // those that began before and may hang for long.
    mayStart: () => mayWork() && !(assignment.probing && probes > 0),
    begin,
    pumped: () => {
      if (assignment.alive) room.look()
    },
  })

  function begin(tenant: string, release: Release) {
    const raw = window.take(tenant)!
    const isProbe = assignment.probing
    if (isProbe) probes += 1
    underWay.set(raw, { startMs: clock.now(), hold: undefined, heldBeforeMs: 0, isProbe })
    inOrder = enter(inOrder, raw, read(raw), release)
  }
  async function enter(before: Promise<void>, raw: RawRecord, reading: ReturnType<typeof read>, release: Release) {
    await before
    const { input, page } = await reading
    if (turns.enter(page, raw)) void work(raw, input, page).finally(() => ended(raw, release))
    else ended(raw, () => release({ kind: 'unsent', latencyMs: 0 }))
  }
  async function read(raw: RawRecord): Promise<{ input: ReadRecord<Value> | Error; page: string }> {
    // Two tenants may have one URL, and neither may hold up the other.
    const ofTenant = (page: string) => `${raw.tenantId}\0${page}`
    try {
      const input = await readRecord(raw, d.decode)
      return { input, page: ofTenant(d.stage.orderKey(input.value)) }
    } catch (error) {
      return { input: toError(error), page: turns.knownAs(raw) ?? ofTenant(String(raw.offset)) }
    }
  }
  async function work(raw: RawRecord, input: ReadRecord<Value> | Error, page: string): Promise<void> {
    if (!mayWork() || turns.isBehind(page, raw)) return putBack(raw, page)
    const id = idOf(raw)
    const hold = inHand.holdOf(id)
    const mine = underWay.get(raw)!
    mine.hold = hold
    mine.heldBeforeMs = heldMs(hold)
    const goOn = await workFor([hold], () => d.settled(raw, () => inHand.outcomeOf(id) ?? judge(input, id, hold)))
    if (goOn) done(raw, page, id)
    else putBack(raw, page)
  }
  /** @throws DependencyUnavailable, Fenced */
  function judge(input: ReadRecord<Value> | Error, id: string, hold: Hold): Promise<Outcome> {
    if (input instanceof Error) return Promise.resolve(failed(input))
    return inHand.keep(id, hold, handleRecord(d.stage, d.deps, input, { ...timing, hold }))
  }

  function done(raw: RawRecord, page: string, id: string) {
    inHand.settled(id)
    unsettled.delete(raw.offset)
    movedMs = clock.now()
    window.forget(raw)
    comeAgain(turns.done(page, raw))
    passTrailing()
    d.onSettled(assignment)
  }
  function putBack(raw: RawRecord, page: string) {
    const behind = turns.putBack(page, raw)
    comeAgain(raw)
    for (const one of behind) comeAgain(one)
  }
  function comeAgain(raw: RawRecord | undefined) {
    if (!raw) return
    // It waits now: not with the whole batch that its value is a slice of.
    detach(raw)
    window.putBack(raw)
    starts.offer(raw.tenantId)
  }
  function ended(raw: RawRecord, release: Release) {
    if (underWay.get(raw)?.isProbe) probes -= 1
    underWay.delete(raw)
    release()
    if (underWay.size === 0) for (const resolve of whenIdle.splice(0)) resolve()
    if (assignment.alive) starts.pump()
  }
  function passTrailing() {
    if (window.held() === 0) watermark.passTo(endOfBatch)
  }
  function pausedFor(): PauseReason {
    const first = starts.firstWait()
    if (first !== undefined) return first === 'tenant' ? 'tenant' : 'rate'
    return starts.isWaiting() || underWay.size > 0 ? 'rate' : cancelWake ? 'retry-due' : 'tenant'
  }
  function wake() {
    cancelWake?.()
    cancelWake = undefined
    const nextMs = window.wake(clock.now())
    if (nextMs !== undefined) cancelWake = clock.after(nextMs - clock.now(), wake)
    look()
  }
  function look() {
    starts.offerAll()
    starts.pump()
  }
  /** @returns whether it waits aside until it is due. */
  function take(raw: RawRecord, nowMs: number): boolean {
    const { dueMs, timestampMs } = raw.travelled
    const isLater = dueMs > nowMs
    window.add(raw, isLater ? Math.min(dueMs, nowMs + d.maxRetryDelayMs) : 0)
    starts.offer(raw.tenantId)
    unsettled.set(raw.offset, timestampMs)
    return isLater
  }
  const isWanted = ({ key, tenantId, travelled }: RawRecord) =>
    !d.accepts || d.accepts({ key: key && tenantId, timestampMs: travelled.timestampMs })

  return {
    accept: (records, endsAt) => {
      const nowMs = clock.now()
      const before = watermark.next()
      if (unsettled.size === 0) movedMs = nowMs
      endOfBatch = endsAt
      let later = false
      for (const raw of records) {
        if (!watermark.begin(raw.offset)) continue
        if (isWanted(raw)) later = take(raw, nowMs) || later
        else watermark.finish(raw.offset)
      }
      passTrailing()
      // Control records, and what a replay does not want: passed without a record of ours, so nothing else commits them.
      if (watermark.next() !== before) d.onSettled(assignment)
      if (later) wake()
      else starts.pump()
      for (const raw of records) if (!underWay.has(raw)) detach(raw)
    },
    kick: look,
    idle: () => (underWay.size === 0 ? Promise.resolve() : new Promise((resolve) => void whenIdle.push(resolve))),
    inFlight: () => underWay.size,
    longestWorkMs: () => {
      const nowMs = clock.now()
      let longest = 0
      for (const { startMs, hold, heldBeforeMs } of underWay.values())
        longest = Math.max(longest, nowMs - startMs - (hold ? heldMs(hold) - heldBeforeMs : 0))
      return longest
    },
    oldestRecordMs: () => unsettled.values().next().value,
    movedMs: () => movedMs,
    waits: () => [...(cancelWake ? (['retry-due'] as const) : []), ...starts.waits()],
    close: () => {
      lost.abort(new Error('the partition was lost'))
      cancelWake?.()
      window.close()
      room.close()
      inHand.close(d.draining())
    },
  }
}

const toError = (error: unknown): Error =>
  error instanceof Error ? error : new StageError('unexpected', String(error), { retriable: true })
