/**
 * What holds work back and how far it is, read at the moment of the scrape: budgets, gates, breakers, pauses, ages. Labels
 * come from small fixed sets: stages, gates, budgets, dependencies, reasons.
 */
import { Counter, Gauge } from 'prom-client'
import type { Registry } from 'prom-client'
import type { Status } from './status.ts'

const BREAKER_STATES = { closed: 0, 'half-open': 1, open: 2 } as const

export function registerThrottleMetrics(registry: Registry, status: Status): void {
  const registers = [registry]
  type Set = (labels: Record<string, string>, value: number) => void
  function gauge(name: string, help: string, labelNames: string[], read: (set: Set) => void) {
    new Gauge({
      ...{ name: `sluice_${name}`, help, labelNames, registers },
      collect() {
        this.reset()
        read((labels, value) => this.set(labels, value))
      },
    })
  }
  /** A sum that its owner keeps: a counter for Prometheus, set to it at each scrape. */
  function sum(name: string, help: string, labelNames: string[], read: (set: Set) => void) {
    new Counter({
      ...{ name: `sluice_${name}_total`, help, labelNames, registers },
      collect() {
        this.reset()
        read((labels, value) => this.inc(labels, value))
      },
    })
  }
  const gates = () => status.throttle().gates
  const budgets = () => status.throttle().budgets.filter(({ total }) => total !== null)
  const stages = () => status.stages()

  sum(
    'throttled_seconds',
    'Seconds that the first in line waited at a gate, by what held it up.',
    ['gate', 'reason'],
    (set) => {
      for (const { gate, waitedMs } of gates())
        for (const [reason, ms] of Object.entries(waitedMs)) set({ gate, reason }, ms / 1000)
    },
  )
  gauge('gate_in_flight', 'Requests or records under way behind a gate, in this process.', ['gate'], (set) => {
    for (const { gate, inFlight } of gates()) set({ gate }, inFlight)
  })
  gauge('gate_limit', 'How many may be under way at once now; absent: no limit.', ['gate'], (set) => {
    for (const { gate, limit } of gates()) if (limit !== null) set({ gate }, limit)
  })
  gauge('gate_waiting', 'Requests or records that stand before a gate.', ['gate'], (set) => {
    for (const { gate, waiting } of gates()) set({ gate }, waiting)
  })
  gauge('budget_limit', 'Total over all instances, per second or slots; absent: none is set.', ['budget'], (set) => {
    for (const { name, total } of budgets()) set({ budget: name }, total!)
  })
  gauge('budget_leased', 'Part of the total that this process holds.', ['budget'], (set) => {
    for (const { name, held } of budgets()) set({ budget: name }, held)
  })
  gauge('budget_allowed', 'Part of the total that this process may use now.', ['budget'], (set) => {
    for (const { name, allowed } of budgets()) set({ budget: name }, allowed ?? 0)
  })
  gauge('budget_used', 'Slots of the budget in use by this process.', ['budget'], (set) => {
    for (const { name, kind, used } of budgets()) if (kind === 'slots') set({ budget: name }, used)
  })
  gauge('breaker_state', 'Circuit breaker: 0 closed, 1 half-open, 2 open.', ['dependency'], (set) => {
    for (const { dependency, kind } of status.throttle().breakers) set({ dependency }, BREAKER_STATES[kind])
  })
  gauge('operator_pauses', 'Pauses by command of an operator that are in force.', [], (set) =>
    set({}, status.throttle().pauses.length),
  )
  sum(
    'partition_paused_seconds',
    'Seconds that partitions were paused, summed over them.',
    ['stage', 'reason'],
    (set) => {
      for (const { stage, pausedSeconds } of stages())
        for (const [reason, seconds] of Object.entries(pausedSeconds)) set({ stage, reason }, seconds)
    },
  )
  gauge('partitions_paused', 'Partitions that are paused now.', ['stage', 'reason'], (set) => {
    for (const { stage, pausedSeconds, partitions } of stages())
      for (const reason of Object.keys(pausedSeconds))
        set({ stage, reason }, partitions.filter(({ reasons }) => reasons.some((one) => one.reason === reason)).length)
  })
  gauge(
    'oldest_record_age_seconds',
    'Age of the oldest record that was fetched and is not settled.',
    ['stage'],
    (set) => {
      for (const { stage, oldestAgeSeconds } of stages()) set({ stage }, oldestAgeSeconds)
    },
  )
  gauge('lag_records', 'Records not settled, of the partitions of this process.', ['stage'], (set) => {
    for (const { stage, lag } of stages()) set({ stage }, lag)
  })
  gauge(
    'drain_eta_seconds',
    'Until that lag is worked off at the last minute’s rate; -1: nothing was settled.',
    ['stage'],
    (set) => {
      for (const { stage, etaSeconds } of stages()) set({ stage }, etaSeconds ?? -1)
    },
  )
}
