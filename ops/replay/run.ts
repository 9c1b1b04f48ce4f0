/** One replay in this process, from where its row says it is to its end: done, cancelled, failed, or left for later. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Admin } from 'kafkajs'
import { countWrites } from '../../connectors/postgres/replays.ts'
import type { ReplayBeat, ReplayRow, ReplayStatus, Replays } from '../../connectors/postgres/replays.ts'
import { errorMessage } from '../../streams/errors.ts'
import type { RunningStage } from '../../streams/runtime/run-stage.ts'
import { topology } from '../../streams/topology.ts'
import type { StageName } from '../../streams/topology.ts'
import type { Services } from '../services.ts'
import { deleteGroup } from './group.ts'
import { createRecordCount } from './record-count.ts'
import { replayServices, startReplayStage } from './stage.ts'

/** Also how soon a cancellation is noticed, and what of the API's bill a kill may leave uncounted. */
export const BEAT_MS = 1_000
/** Without a beat for this long its process is dead, or cut off from Postgres and then not writing anything either. */
export const STALE_MS = 10_000

/** `interrupted`: this process ends before the replay does; `lost`: another process has taken it over. */
export type ReplayEnd = Exclude<ReplayStatus, 'running'> | 'interrupted' | 'lost'

interface Options {
  readonly row: ReplayRow
  readonly owner: string
  readonly services: Services
  readonly replays: Replays
  readonly admin: Admin
  /** A signal came: end in order, and leave the rest for later. */
  readonly stopped: Promise<unknown>
  readonly onProgress: (progress: Progress) => void
}

export interface Progress {
  readonly doneOffsets: bigint
  readonly totalOffsets: bigint
  /** Why partitions stand still. */
  readonly reasons: readonly string[]
}

/** @returns how it ended, and why if it failed. */
export async function runReplay(options: Options): Promise<{ end: ReplayEnd; error: string | null }> {
  const { row, owner, services, replays, admin } = options
  const stage = row.stage as StageName
  const left = row.partitions.filter(({ next, to }) => next < to)
  const records = createRecordCount(row.partitions)
  const meter = createMeter(services)
  const ended = Promise.withResolvers<{ end: ReplayEnd; error: string | null }>()
  const running = left.length === 0 ? undefined : await start()
  if (!running) ended.resolve({ end: 'done', error: null })
  running?.finished.then(() => ended.resolve({ end: 'done', error: null }), fail)
  void options.stopped.then(() => ended.resolve({ end: 'interrupted', error: null }))

  function fail(error: Error) {
    ended.resolve({ end: 'failed', error: errorMessage(error) })
  }
  function start(): Promise<RunningStage> {
    return startReplayStage({
      ...{ stage, group: row.group, tenant: row.wish.tenant, leases: true, onFatal: fail },
      ranges: new Map(left.map(({ partition, next, to }) => [partition, { from: next, to }])),
      services: replayServices(services, (trx, results, ledger) =>
        // What the crawler admits to its frontier is no chunk.
        countWrites(trx, row.id, stage === 'chunker' ? results : [], ledger, records.below),
      ),
      onRecord: records.note,
      observer: { settled: (_, outcome) => void (isFailure(outcome) && meter.failed()) },
    })
  }
  /** Where a stage without a ledger stands: what its group has committed. */
  async function committed(): Promise<ReplayBeat['partitions']> {
    if (topology[stage].ledger || !running) return []
    const topic = services.config.topicPrefix + topology[stage].from
    const [offsets] = await admin.fetchOffsets({ groupId: row.group, topics: [topic] })
    return (offsets?.partitions ?? [])
      .map(({ partition, offset }) => ({ partition, next: BigInt(offset) }))
      .filter(({ partition, next }) => left.some((one) => one.partition === partition && one.next < next))
      .map(({ partition, next }) => ({ partition, next, records: records.below(partition, next) }))
  }

  /** @returns what the replay is now; undefined: Postgres did not say. */
  async function beat(): Promise<ReplayStatus | null | undefined> {
    const spent = meter.read()
    try {
      const status = await replays.beat(row.id, owner, { ...spent.since, partitions: await committed() })
      spent.told()
      for (const { at, committed: next } of running?.assignments() ?? []) records.fold(at.partition, next)
      return status
    } catch (error) {
      services.logger.warn({ error: errorMessage(error) }, 'the replay’s heartbeat failed, trying again')
      return undefined
    }
  }
  let over = false
  const beats = (async () => {
    while (!over) {
      const status = await beat()
      if (status === null) ended.resolve({ end: 'lost', error: null })
      if (status === 'cancelled' || status === 'failed') ended.resolve({ end: status, error: null })
      options.onProgress(progressOf(row, running))
      await Promise.race([sleep(BEAT_MS), ended.promise])
    }
  })()

  const result = await ended.promise
  over = true
  await beats
  await running?.stop()
  if (result.end === 'lost') return result
  await beat()
  if (result.end === 'interrupted') await replays.release(row.id, owner)
  else {
    await replays.end(row.id, result.end, result.error)
    await cleanUp(row, replays, admin)
  }
  return result
}

/** The group's offsets and its rows of the ledger: nobody reads them any more. May be done again. */
export async function cleanUp(row: ReplayRow, replays: Replays, admin: Admin): Promise<void> {
  await deleteGroup(admin, row.group)
  await replays.forgetLedger(row.group)
}

const isFailure = (outcome: string) => outcome === 'retry' || outcome === 'dead-letter'

/** What this process has asked of the embeddings API, and what failed, since it was last told. */
function createMeter({ embeddingUsage }: Services) {
  let failures = 0
  let told = { embeddingInputs: 0, embeddingTokens: 0, failed: 0 }
  const now = () => ({
    embeddingInputs: embeddingUsage.inputs,
    embeddingTokens: embeddingUsage.tokens,
    failed: failures,
  })
  return {
    failed: () => (failures += 1),
    read: () => {
      const sums = now()
      const since = {
        embeddingInputs: sums.embeddingInputs - told.embeddingInputs,
        embeddingTokens: sums.embeddingTokens - told.embeddingTokens,
        failed: sums.failed - told.failed,
      }
      return { since, told: () => (told = sums) }
    },
  }
}

function progressOf({ partitions }: ReplayRow, running: RunningStage | undefined): Progress {
  const states = running?.partitions() ?? []
  const reasons = new Set<string>()
  let doneOffsets = 0n
  for (const { partition, from, to, next } of partitions) {
    const state = states.find((one) => one.partition === partition)
    const at = state && state.next > next ? state.next : next
    doneOffsets += (at < to ? at : to) - from
    if (at < to) for (const { reason } of state?.reasons ?? []) reasons.add(reason)
  }
  reasons.delete('range-end')
  reasons.delete('offset-guard')
  return { doneOffsets, totalOffsets: totalOffsets(partitions), reasons: [...reasons] }
}

export const totalOffsets = (partitions: ReplayRow['partitions']): bigint =>
  partitions.reduce((sum, { from, to }) => sum + to - from, 0n)
