/** What is in force, as tables for people and as NDJSON. */
import type { Limit, Pause } from '../../streams/throttle/control-state.ts'
import { limitOptions } from './control-limits.ts'
import { printTable } from './output-table.ts'
import { note } from './output.ts'
import type { Output } from './output.ts'

export function describe({ stage, tenant, partition }: Omit<Pause, 'reason' | 'by' | 'sinceMs'>): string {
  const where = stage === '' ? 'all stages' : stage
  return `${where}${tenant === '' ? '' : ` for tenant ${tenant}`}${partition === -1 ? '' : `, partition ${partition}`}`
}

export function printPauses(pauses: readonly Pause[], { json }: Output, nothing = 'nothing is paused'): void {
  if (pauses.length === 0 && nothing) note(nothing)
  const rows = pauses.map(({ stage, tenant, partition, reason, by, sinceMs }) => ({
    stage: stage || null,
    tenant: tenant || null,
    partition: partition === -1 ? null : partition,
    ...{ reason, by, since: new Date(sinceMs).toISOString() },
  }))
  printTable(rows, { json }, undefined, 'all')
}

export function printLimits(limits: readonly Limit[], { json }: Output): void {
  if (limits.length === 0) note('no limits but those of the environment')
  const rows = limits.map(({ budget, tenant, value, reason, by, sinceMs }) => {
    const { resource, unit, perUnit } = limitOptions.find((option) => option.budget === budget)!
    const amount = value === null ? null : value * perUnit
    const common = { reason, by, since: new Date(sinceMs).toISOString() }
    return { resource, limit: amount && Number(amount.toPrecision(12)), unit, tenant: tenant || null, ...common }
  })
  printTable(rows, { json }, (row) => ({ ...row, limit: row.limit ?? 'unlimited' }), 'all')
}
