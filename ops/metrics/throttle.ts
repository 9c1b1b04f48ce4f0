/**
 * What holds work back and how far it is, read at the moment of the scrape: budgets, gates, breakers, pauses, ages. Labels
 * come from small fixed sets: stages, gates, budgets, dependencies, reasons.
 */
import type { Status } from '../status.ts'
import type { Families } from './families.ts'

const BREAKER_STATES = { closed: 0, 'half-open': 1, open: 2 } as const

/** Before `status` is there, everything is absent. */
export function registerThrottle({ gauge, sum }: Families, status: () => Status | undefined): void {
  const gates = () => status()?.throttle().gates ?? []
  const budgets = () =>
    status()
      ?.throttle()
      .budgets.filter(({ total }) => total !== null) ?? []
  const stages = () => status()?.stages() ?? []

  const ofGate = (name: string, unit: string, help: string) => ({ name, unit, help, labels: ['gate'] })
  sum(
    {
      name: 'throttled_seconds',
      unit: 'seconds',
      help: 'Time that the first in line waited at a gate, by what held it up.',
      labels: ['gate', 'reason'],
    },
    (set) => {
      for (const { gate, waitedMs } of gates())
        for (const [reason, ms] of Object.entries(waitedMs)) set({ gate, reason }, ms / 1000)
    },
  )
  gauge(ofGate('gate_in_flight', 'requests', 'Requests or records under way behind a gate.'), (set) => {
    for (const { gate, inFlight } of gates()) set({ gate }, inFlight)
  })
  gauge(ofGate('gate_limit', 'requests', 'How many may be under way at once now; absent: no limit.'), (set) => {
    for (const { gate, limit } of gates()) if (limit !== null) set({ gate }, limit)
  })
  gauge(ofGate('gate_waiting', 'requests', 'Requests or records that stand before a gate.'), (set) => {
    for (const { gate, waiting } of gates()) set({ gate }, waiting)
  })

  const ofBudget = (name: string, help: string) => ({
    ...{ name, help, unit: 'per second, or slots' },
    labels: ['budget'],
  })
  gauge(ofBudget('budget_limit', 'Total over all instances; absent: none is set.'), (set) => {
    for (const { name, total } of budgets()) set({ budget: name }, total!)
  })
  gauge(ofBudget('budget_leased', 'Part of the total that this process holds.'), (set) => {
    for (const { name, held } of budgets()) set({ budget: name }, held)
  })
  gauge(ofBudget('budget_allowed', 'Part of the total that this process may use now.'), (set) => {
    for (const { name, allowed } of budgets()) set({ budget: name }, allowed ?? 0)
  })
  gauge(ofBudget('budget_used', 'Slots in use by this process; rates have none.'), (set) => {
    for (const { name, kind, used } of budgets()) if (kind === 'slots') set({ budget: name }, used)
  })

  gauge(
    {
      name: 'breaker_state',
      unit: 'state',
      help: 'Circuit breaker: 0 closed, 1 half-open, 2 open.',
      labels: ['dependency'],
    },
    (set) => {
      for (const { dependency, kind } of status()?.throttle().breakers ?? []) set({ dependency }, BREAKER_STATES[kind])
    },
  )
  gauge(
    { name: 'operator_pauses', unit: 'pauses', help: 'Pauses by command of an operator that are in force.' },
    (set) => {
      const now = status()
      if (now) set({}, now.throttle().pauses.length)
    },
  )
  sum(
    {
      name: 'partition_paused_seconds',
      unit: 'seconds',
      help: 'Time that partitions were paused, summed over them.',
      labels: ['stage', 'reason'],
    },
    (set) => {
      for (const { stage, pausedSeconds } of stages())
        for (const [reason, seconds] of Object.entries(pausedSeconds)) set({ stage, reason }, seconds)
    },
  )
  gauge(
    {
      name: 'partitions_paused',
      unit: 'partitions',
      help: 'Partitions of this process that are paused now.',
      labels: ['stage', 'reason'],
    },
    (set) => {
      for (const { stage, pausedSeconds, partitions } of stages())
        for (const reason of Object.keys(pausedSeconds))
          set(
            { stage, reason },
            partitions.filter(({ reasons }) => reasons.some((one) => one.reason === reason)).length,
          )
    },
  )

  const ofStage = (name: string, unit: string, help: string) => ({ name, unit, help, labels: ['stage'] })
  gauge(
    ofStage(
      'oldest_record_age_seconds',
      'seconds',
      'Age of the oldest record that this process has fetched and not settled.',
    ),
    (set) => {
      for (const { stage, oldestAgeSeconds } of stages()) set({ stage }, oldestAgeSeconds)
    },
  )
  gauge(ofStage('lag_records', 'records', 'Records not settled, of the partitions of this process.'), (set) => {
    for (const { stage, lag } of stages()) set({ stage }, lag)
  })
  gauge(
    ofStage(
      'drain_eta_seconds',
      'seconds',
      'Until that lag is worked off at the last minute’s rate; -1: nothing was settled.',
    ),
    (set) => {
      for (const { stage, etaSeconds } of stages()) set({ stage }, etaSeconds ?? -1)
    },
  )
}
