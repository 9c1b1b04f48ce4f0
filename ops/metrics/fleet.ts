/**
 * The whole fleet, as the broker and Postgres tell it: each instance gives the same answer, so take `max`, never `sum`.
 * Asked for at scrapes alone, within a deadline.
 */
import type { Knex } from 'knex'
import { uniqueIndexProblem } from '../../connectors/postgres/index-check.ts'
import { createReplays } from '../../connectors/postgres/replays.ts'
import { stageNames } from '../../streams/topology.ts'
import type { SummaryRow } from '../dlq/types.ts'
import { lagStates, oldestAgeMs, unthrottledLag } from '../lag/rows.ts'
import type { LagRow } from '../lag/rows.ts'
import type { Families } from './families.ts'
import type { Scrape, Source } from './scrape.ts'

export interface FleetSources {
  readonly lag: () => Promise<readonly LagRow[]>
  readonly deadLetters: () => Promise<readonly SummaryRow[]>
  readonly db: Knex
}

export function registerFleet(families: Families, scrape: Scrape, sources: () => FleetSources | undefined): void {
  const from = <T>(ask: (found: FleetSources) => Promise<T>, name: string, nothing: T): Source<T> =>
    scrape.add(name, async () => {
      const found = sources()
      return found ? ask(found) : nothing
    })
  registerLag(
    families,
    from(({ lag }) => lag(), 'lag', []),
  )
  registerDeadLetters(
    families,
    from(({ deadLetters }) => deadLetters(), 'dead_letters', []),
  )
  registerReplays(
    families,
    from(({ db }) => runningReplays(db), 'replays', []),
  )
  registerInvariants(families, from(invariants, 'invariants', { indexProblem: undefined, ahead: [] }))
}

function registerLag({ gauge }: Families, source: Source<readonly LagRow[]>) {
  const perStage = (name: string, unit: string, help: string, read: (rows: readonly LagRow[]) => number | null) =>
    gauge({ name, unit, help, labels: ['stage'] }, (set) => {
      for (const stage of stageNames) {
        const rows = source.value()?.filter((row) => row.stage === stage) ?? []
        const value = rows.length > 0 ? read(rows) : null
        if (value !== null) set({ stage }, value)
      }
    })
  const behind = (rows: readonly LagRow[]) => rows.reduce((sum, { lag }) => sum + lag, 0)
  perStage('group_lag_records', 'records', 'Offsets between the commit and the end, all partitions.', behind)
  perStage(
    'group_oldest_record_age_seconds',
    'seconds',
    'Age of the oldest record that is not processed, fetched or not. The first figure to look at.',
    (rows) => oldestAgeMs(rows) / 1000,
  )
  perStage(
    'group_drain_eta_seconds',
    'seconds',
    'Until the lag is worked off at the rate of the last minute; absent: not known.',
    (rows) => {
      const known = rows.flatMap(({ etaMs }) => etaMs ?? [])
      return known.length > 0 || behind(rows) === 0 ? Math.max(0, ...known) / 1000 : null
    },
  )
  perStage(
    'lag_unthrottled_records',
    'records',
    'Lag that more instances could work on: without what is throttled or paused. For autoscalers.',
    unthrottledLag,
  )
  gauge(
    {
      name: 'group_partitions',
      unit: 'partitions',
      help: 'Partitions by state; stalled: one should go on and does not.',
      labels: ['stage', 'state'],
    },
    (set) => {
      const rows = source.value() ?? []
      for (const stage of new Set(rows.map((row) => row.stage)))
        for (const state of lagStates)
          set({ stage, state }, rows.filter((row) => row.stage === stage && row.state === state).length)
    },
  )
  gauge(
    {
      name: 'partition_stalled',
      unit: '1',
      help: 'Partitions that are stalled, by name; 50 at most.',
      labels: ['stage', 'topic', 'partition'],
    },
    (set) => {
      const stalled = (source.value() ?? []).filter(({ state }) => state === 'stalled')
      for (const { stage, topic, partition } of stalled.slice(0, MOST_STALLED))
        set({ stage, topic, partition: String(partition) }, 1)
    },
  )
}
/** Beyond it `sluice_group_partitions` counts them. */
const MOST_STALLED = 50
/** Pairs of topic and code. */
const MOST_CODES = 40

function registerDeadLetters({ gauge }: Families, source: Source<readonly SummaryRow[]>) {
  // Not by tenant: their number has no bound (`sluice dlq list` names them). Codes have one, unless somebody else writes
  // into the topics: beyond the most frequent they are together.
  function byKind(value: (rows: readonly SummaryRow[]) => number) {
    const kinds = [...Map.groupBy(source.value() ?? [], ({ topic, code }) => `${topic} ${code}`).values()]
    const named = new Set(kinds.sort((a, b) => openIn(b) - openIn(a)).slice(0, MOST_CODES))
    const shown = Map.groupBy(kinds, (rows) => (named.has(rows) ? rows[0]!.code : 'other'))
    return [...shown].flatMap(([code, same]) =>
      [...Map.groupBy(same.flat(), ({ topic }) => topic)].map(([topic, rows]) => ({
        labels: { topic, code },
        value: value(rows),
      })),
    )
  }
  const openIn = (rows: readonly SummaryRow[]) => rows.reduce((sum, { open }) => sum + open, 0)
  const kinds = ['topic', 'code']
  gauge(
    { name: 'dead_letters_open', unit: 'records', help: 'Dead letters neither redriven nor discarded.', labels: kinds },
    (set) => {
      for (const { labels, value } of byKind(openIn)) set(labels, value)
    },
  )
  gauge(
    {
      name: 'dead_letters_oldest_age_seconds',
      unit: 'seconds',
      help: 'Age of the oldest open dead letter; 30 days after its failure Kafka drops it.',
      labels: kinds,
    },
    (set) => {
      for (const { labels, value } of byKind((rows) =>
        Math.max(...rows.map(({ oldestAgeSeconds }) => oldestAgeSeconds)),
      ))
        set(labels, value)
    },
  )
}

interface ReplayProgress {
  readonly stage: string
  readonly done: number
  readonly of: number
  readonly heartbeatAgeMs: number
}
/** More than a few at once nobody starts. */
const MOST_REPLAYS = 100

async function runningReplays(db: Knex): Promise<ReplayProgress[]> {
  const running = (await createReplays(db).list(MOST_REPLAYS)).filter(({ status }) => status === 'running')
  return running.map(({ stage, partitions, heartbeatAgeMs }) => {
    const sum = (part: (one: (typeof partitions)[number]) => bigint) =>
      Number(partitions.reduce((all, one) => all + part(one), 0n))
    return {
      ...{ stage, heartbeatAgeMs },
      done: sum(({ next, from }) => next - from),
      of: sum(({ to, from }) => to - from),
    }
  })
}

function registerReplays({ gauge }: Families, source: Source<readonly ReplayProgress[]>) {
  const perStage = (name: string, unit: string, help: string, read: (replays: ReplayProgress[]) => number) =>
    gauge({ name, unit, help, labels: ['stage'] }, (set) => {
      for (const [stage, replays] of Map.groupBy(source.value() ?? [], (one) => one.stage))
        set({ stage }, read(replays))
    })
  const total = (replays: ReplayProgress[], of: 'done' | 'of') => replays.reduce((sum, one) => sum + one[of], 0)
  perStage('replays_running', 'replays', 'Replays that are not over.', ({ length }) => length)
  perStage(
    'replay_remaining_records',
    'records',
    'Offsets that running replays have before them.',
    (replays) => total(replays, 'of') - total(replays, 'done'),
  )
  perStage(
    'replay_progress_ratio',
    '0 to 1',
    'How much of their ranges running replays have behind them.',
    (replays) => (total(replays, 'of') === 0 ? 1 : total(replays, 'done') / total(replays, 'of')),
  )
  perStage(
    'replay_heartbeat_age_seconds',
    'seconds',
    'Since the process of a running replay was last heard of; the oldest of them.',
    (replays) => Math.max(...replays.map(({ heartbeatAgeMs }) => heartbeatAgeMs)) / 1000,
  )
}

interface Invariants {
  readonly indexProblem: string | null | undefined
  /** Partitions whose committed offset is beyond what Postgres holds. */
  readonly ahead: readonly { readonly stage: string; readonly partitions: number }[]
}

async function invariants({ db, lag }: FleetSources): Promise<Invariants> {
  const indexProblem = await uniqueIndexProblem(db)
  // Commits before the ledger: the other way round, what is settled in between would look like a violation.
  const rows = await lag()
  const ledger: { consumer_group: string; topic: string; partition: number; next_offset: string | null }[] = await db(
    'stage_offsets',
  ).select('consumer_group', 'topic', 'partition', 'next_offset')
  const next = new Map(
    ledger.map((row) => [`${row.consumer_group} ${row.topic}/${row.partition}`, Number(row.next_offset ?? 0)]),
  )
  const groups = new Set(ledger.map((row) => row.consumer_group))
  const stages = [...new Set(rows.filter(({ group }) => groups.has(group)).map(({ stage }) => stage))]
  const ahead = stages.map((stage) => ({
    stage,
    partitions: rows.filter(
      (row) =>
        row.stage === stage &&
        row.committed !== null &&
        row.committed > (next.get(`${row.group} ${row.topic}/${row.partition}`) ?? 0),
    ).length,
  }))
  return { indexProblem, ahead }
}

function registerInvariants({ gauge }: Families, source: Source<Invariants>) {
  gauge(
    {
      name: 'unique_index_valid',
      unit: '1 or 0',
      help: 'The index that keeps every chunk once is there, valid, and as the migration makes it.',
    },
    (set) => {
      const problem = source.value()?.indexProblem
      if (problem !== undefined) set({}, problem === null ? 1 : 0)
    },
  )
  gauge(
    {
      name: 'offsets_beyond_ledger_partitions',
      unit: 'partitions',
      help: 'Partitions whose committed offset is beyond what Postgres holds: rows were lost.',
      labels: ['stage'],
    },
    (set) => {
      for (const { stage, partitions } of source.value()?.ahead ?? []) set({ stage }, partitions)
    },
  )
}
