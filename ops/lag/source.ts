/**
 * What every group has left to do, and why. Offsets are the broker's own, so they agree with its tools; the reasons come
 * from the commands in force, from what instances report, and from who is a member of the group.
 */
import { readGroupMembers } from '../../connectors/kafka/group-members.ts'
import type { GroupMembers } from '../../connectors/kafka/group-members.ts'
import { createRecordTimes } from '../../connectors/kafka/record-times.ts'
import { createPostgres } from '../../connectors/postgres/client.ts'
import { createStageReports } from '../../connectors/postgres/stage-reports.ts'
import type { ReceivedReport } from '../../connectors/postgres/stage-reports.ts'
import type { Dependency } from '../../streams/errors.ts'
import { isPaused } from '../../streams/throttle/control-state.ts'
import type { ControlState } from '../../streams/throttle/control-state.ts'
import { stageNames, topology } from '../../streams/topology.ts'
import type { StageName } from '../../streams/topology.ts'
import type { Services } from '../services.ts'
import { stageLag } from './offsets.ts'
import type { PartitionLag } from './offsets.ts'
import type { LagRow } from './rows.ts'
import { FRESH_MS, judge } from './state.ts'
import type { Facts } from './state.ts'
import { createWatched } from './watched.ts'

export type { LagRow, LagState } from './rows.ts'
export { lagStates, oldestAgeMs, unthrottledLag } from './rows.ts'

export interface LagSource {
  /**
   * By stage, topic and partition; as of at most `cacheMs` ago, and however many ask at once, it looks once.
   * @throws what the broker says when it is away. Postgres may be away: reasons are fewer then.
   */
  readonly rows: () => Promise<LagRow[]>
  readonly close: () => Promise<void>
}

export interface LagSourceOptions {
  /** Commands in force; null: not known. Unless given, what this process has read of them. */
  readonly control?: () => ControlState | null
  readonly cacheMs?: number
  readonly now?: () => number
}

/** What a look at one partition has found. */
interface Seen extends PartitionLag {
  readonly stage: StageName
}

type Reported = NonNullable<Facts['report']>
/** What is known apart from the partitions. */
interface AsOf {
  readonly commands: ControlState | null
  /** Names of the circuits that are not closed. */
  readonly open: readonly string[]
  readonly reportsExpected: boolean
}

const CACHE_MS = 5_000
/** For the times of the oldest records of all partitions: a figure more is not worth a wait. */
const TIMES_MS = 1_000
const needs: Record<StageName, readonly Dependency[]> = {
  crawler: ['registry', 'postgres'],
  processor: ['registry'],
  chunker: ['registry', 'postgres', 'embeddings'],
}

export function createLagSource(services: Services, options: LagSourceOptions = {}): LagSource {
  const { config, kafka, throttle } = services
  const { control = throttle.control.state, cacheMs = CACHE_MS, now = Date.now } = options
  const prefix = config.topicPrefix
  const db = createPostgres({ ...config.postgres, poolMax: 1 }, config.embeddings.dimensions)
  const reports = createStageReports({ db })
  const times = createRecordTimes(kafka('lag-times'))
  const watched = createWatched(now)
  let admin: Promise<ReturnType<ReturnType<Services['kafka']>['admin']>> | undefined
  let cached: { readonly atMs: number; readonly rows: Promise<LagRow[]> } | undefined

  async function connect() {
    const client = kafka('lag').admin()
    await client.connect()
    return client
  }
  async function look(): Promise<LagRow[]> {
    const said = reports.read().catch(() => null)
    admin ??= connect()
    try {
      const client = await admin
      const lags = await Promise.all(
        stageNames.map(async (stage) =>
          (await stageLag(client, stage, prefix)).map((row): Seen => ({ ...row, stage })),
        ),
      )
      const members = await readGroupMembers(client, [...new Set(lags.flat().map(({ group }) => group))])
      return await explain(lags.flat(), members, await said)
    } catch (error) {
      const broken = admin
      admin = undefined
      await broken.then((client) => client.disconnect()).catch(() => {})
      throw error
    }
  }
  async function explain(seen: Seen[], members: Map<string, GroupMembers>, said: ReceivedReport[] | null) {
    for (const one of seen) watched.look(keyOf(one), one.group, nextOf(one), one.lag)
    const reported = byPartition(said ?? [])
    const ages = await agesOf(seen, reported)
    const commands = control()
    const open = [...(commands?.breakers ?? [])].filter(([, { kind }]) => kind !== 'closed').map(([name]) => name)
    const asOf = { commands, open, reportsExpected: said !== null && !open.includes('postgres') }
    const judged = seen.map((one, index): LagRow => {
      const { stage, group, topic, partition, committed, end, lag } = one
      const oldestAgeMs = ages[index]!
      const report = reported.get(keyOf(one)) ?? null
      const verdict = judge({ ...factsOf(one, members.get(group), asOf), report, oldestAgeMs })
      const offsets = { committed: committed === null ? null : Number(committed), end: Number(end), lag: Number(lag) }
      return { ...{ stage, group, topic, partition }, ...offsets, oldestAgeMs, ...verdict, etaMs: null }
    })
    const ends = new Map(
      [...Map.groupBy(judged, ({ stage }) => stage)].map(([stage, rows]) => [
        stage,
        etaOf(rows, rateOf(prefix + topology[stage].group, said ?? [])),
      ]),
    )
    return judged.map((row) => ({ ...row, etaMs: row.lag === 0 ? 0 : isMoving(row) ? ends.get(row.stage)! : null }))
  }
  function factsOf(
    one: Seen,
    members: GroupMembers | undefined,
    { commands, open, reportsExpected }: AsOf,
  ): Omit<Facts, 'report' | 'oldestAgeMs'> {
    return {
      lag: one.lag,
      isPaused: commands && isPaused(commands, one.stage, '', one.partition) !== undefined,
      openCircuits: open.filter((name) => needs[one.stage].includes(name as Dependency)),
      member: members?.ownerOf(one) ?? 'unknown',
      reportsExpected,
      committed: nextOf(one),
      watchedStillMs: watched.stillMs(keyOf(one)),
    }
  }
  /**
   * Its owner knows the oldest record that is not settled, which may lie above what is committed. What it said may be
   * settled since, so an age may be too high, by at most the report's own (15 s). Only where nobody has said is the log
   * asked: a read for every partition that moves would be a read for each of a busy fleet.
   */
  async function agesOf(seen: readonly Seen[], reported: ReadonlyMap<string, Reported>): Promise<(number | null)[]> {
    const late = Promise.withResolvers<null>()
    const timer = setTimeout(() => late.resolve(null), TIMES_MS)
    const ages = seen.map(async (one) => {
      if (one.lag === 0n) return null
      const report = reported.get(keyOf(one))
      const told = report && report.stage.ageMs <= FRESH_MS ? report.partition.oldestRecordMs : null
      const ms = told ?? (await Promise.race([times.at(one, nextOf(one)).catch(() => null), late.promise]))
      return ms === null ? null : Math.max(0, now() - ms)
    })
    return Promise.all(ages).finally(() => clearTimeout(timer))
  }
  /** Of all instances that report; where none does, of the offsets as they were seen to move. */
  function rateOf(group: string, said: readonly ReceivedReport[]): number | null {
    const fresh = said.filter((one) => one.group === group && one.ageMs <= FRESH_MS)
    return fresh.length > 0 ? fresh.reduce((sum, { perSecond }) => sum + perSecond, 0) : watched.perSecond(group)
  }

  return {
    rows: () => {
      if (!cached || now() - cached.atMs >= cacheMs) cached = { atMs: now(), rows: look() }
      const { rows } = cached
      // A failure is not kept: the next one who asks looks again.
      rows.catch(() => {
        if (cached?.rows === rows) cached = undefined
      })
      return rows
    },
    close: async () => {
      await Promise.allSettled([admin?.then((client) => client.disconnect()), times.close(), db.destroy()])
    },
  }
}

const keyOf = ({ group, topic, partition }: Pick<Seen, 'group' | 'topic' | 'partition'>) =>
  `${group} ${topic}/${partition}`
/** With nothing committed, or with what was next expired, a group goes on at the beginning of what the log holds. */
const nextOf = ({ committed, low }: Seen): bigint => (committed === null || committed < low ? low : committed)

/** The first that names a partition is the newest. */
function byPartition(said: readonly ReceivedReport[]): Map<string, Reported> {
  const found = new Map<string, Reported>()
  for (const stage of said)
    for (const partition of stage.partitions) {
      const key = keyOf({ ...partition, group: stage.group })
      if (!found.has(key)) found.set(key, { stage, partition })
    }
  return found
}

/** Of those that move: they share the group's rate, and what is held has no end in sight. */
function etaOf(rows: readonly LagRow[], perSecond: number | null): number | null {
  if (perSecond === null || perSecond <= 0) return null
  return Math.round((rows.filter(isMoving).reduce((sum, { lag }) => sum + lag, 0) / perSecond) * 1000)
}
const isMoving = ({ state }: LagRow) => state === 'running' || state === 'throttled'
