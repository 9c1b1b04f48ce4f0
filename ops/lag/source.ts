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

const CACHE_MS = 5_000
/** For the times of the oldest records of all partitions: a figure more is not worth a wait. */
const TIMES_MS = 3_000
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
    const ages = await agesOf(seen, said ?? [])
    const judged = seen.map((one, index): LagRow => {
      const { stage, group, topic, partition, committed, end, lag } = one
      const oldestAgeMs = ages[index]!
      const verdict = judge(factsOf(one, members.get(group), said, oldestAgeMs))
      const offsets = { committed: committed === null ? null : Number(committed), end: Number(end), lag: Number(lag) }
      return { ...{ stage, group, topic, partition }, ...offsets, oldestAgeMs, ...verdict, etaMs: null }
    })
    const rates = new Map(stageNames.map((stage) => [stage, rateOf(prefix + topology[stage].group, said ?? [])]))
    return judged.map((row) => ({ ...row, etaMs: etaOf(row, judged, rates.get(row.stage)!) }))
  }
  function factsOf(
    one: Seen,
    members: GroupMembers | undefined,
    said: ReceivedReport[] | null,
    oldestAgeMs: number | null,
  ): Facts {
    const commands = control()
    const open = [...(commands?.breakers ?? [])].filter(([, { kind }]) => kind !== 'closed').map(([name]) => name)
    return {
      lag: one.lag,
      isPaused: commands && isPaused(commands, one.stage, '', one.partition) !== undefined,
      openCircuits: open.filter((name) => needs[one.stage].includes(name as Dependency)),
      member: members?.ownerOf(one) ?? 'unknown',
      report: reportOf(one, said ?? []),
      reportsExpected: said !== null && !open.includes('postgres'),
      committed: nextOf(one),
      watchedStillMs: watched.stillMs(keyOf(one)),
      oldestAgeMs,
    }
  }
  /** Its owner knows the oldest record that is not settled, which may lie above what is committed; else the log is asked. */
  async function agesOf(seen: readonly Seen[], said: readonly ReceivedReport[]): Promise<(number | null)[]> {
    const late = Promise.withResolvers<null>()
    const timer = setTimeout(() => late.resolve(null), TIMES_MS)
    const ages = seen.map(async (one) => {
      if (one.lag === 0n) return null
      const report = reportOf(one, said)
      const isCurrent = report && report.stage.ageMs <= FRESH_MS && BigInt(report.partition.next) >= nextOf(one)
      const told = isCurrent ? report.partition.oldestRecordMs : null
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

const keyOf = ({ group, topic, partition }: Seen) => `${group} ${topic}/${partition}`
/** With nothing committed, or with what was next expired, a group goes on at the beginning of what the log holds. */
const nextOf = ({ committed, low }: Seen): bigint => (committed === null || committed < low ? low : committed)

function reportOf({ group, topic, partition }: Seen, said: readonly ReceivedReport[]): Facts['report'] {
  for (const stage of said) {
    if (stage.group !== group) continue
    const found = stage.partitions.find((one) => one.topic === topic && one.partition === partition)
    if (found) return { stage, partition: found }
  }
  return null
}

/** What is held has no end in sight; the others share the group's rate. */
function etaOf(row: LagRow, rows: readonly LagRow[], perSecond: number | null): number | null {
  if (row.lag === 0) return 0
  const isMoving = ({ state }: LagRow) => state === 'running' || state === 'throttled'
  if (!isMoving(row) || perSecond === null || perSecond <= 0) return null
  const together = rows.filter((one) => one.stage === row.stage && isMoving(one)).reduce((sum, { lag }) => sum + lag, 0)
  return Math.round((together / perSecond) * 1000)
}
