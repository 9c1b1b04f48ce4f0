/** Why something waits, in words: the codes are those of `sluice lag`, /status and the metrics. */

const words = {
  rate: 'a limit holds it back',
  tenant: "a tenant's own limit",
  'tenant-paused': 'its tenants are paused',
  slots: 'all places are in use',
  adaptive: 'as many as the dependency takes',
  cooldown: 'it was told to wait (429)',
  operator: 'paused by command',
  'retry-due': 'failed records wait for their next attempt',
  'offset-guard': 'a new owner checks where to start',
  'no-member': 'no instance owns it',
  'no-progress': 'nothing moves, for no known reason',
  hung: 'a record is under way past its deadline',
  unreported: 'its owner does not report',
  rebalancing: 'between two owners',
  dependency: 'a dependency is away',
}

export function reasonText(code) {
  if (words[code]) return words[code]
  const [what, which] = code.split(':')
  if (what === 'dependency') return `${which} is away`
  if (what === 'awaits') return `waits for an answer of ${which}`
  if (words[which]) return `${what}: ${words[which]}`
  return code
}

/** Worst first. */
export const stateOrder = ['stalled', 'paused', 'throttled', 'running', 'unknown']

export function countStates(rows) {
  const counts = new Map()
  for (const { state } of rows) counts.set(state, (counts.get(state) ?? 0) + 1)
  return stateOrder.filter((state) => counts.has(state)).map((state) => [state, counts.get(state)])
}
