/** Budgets with this instance's part, the commands in force, and the circuit breakers. */
import { foreign, h, setForeign, setText } from './dom.js'
import { ago, count, duration, rate } from './format.js'
import { askLift, askLimit, inUnit, optionOf } from './limits.js'
import { askResume, describeTarget } from './pauses.js'
import { table } from './table.js'

const words = {
  embedding_requests: 'Embedding requests',
  embedding_tokens: 'Embedding tokens',
  embedding_slots: 'Embedding requests in flight',
  database_slots: 'Database statements in flight',
  crawler_records: 'Pages fetched',
  processor_records: 'Pages processed',
  chunker_records: 'Pages chunked',
}

export function createThrottle(section, model) {
  const budgets = table({
    parent: section.querySelector('#budgets'),
    caption: 'Budgets: totals over all instances',
    empty: 'No budgets yet.',
    keyOf: ({ name }) => name,
    columns: [
      { title: 'Budget', wide: true, cell: ({ name }) => words[name] ?? name },
      { title: 'Total', number: true, cell: ({ name, total }) => inUnit(name, total) },
      {
        title: 'Part here',
        number: true,
        cell: ({ name, total, held }) => (total === null ? '–' : inUnit(name, held)),
      },
      { title: 'Use here', number: true, cell: used },
      {
        title: 'Change',
        actions: true,
        cell: ({ name }) =>
          h(
            'button',
            {
              type: 'button',
              'aria-haspopup': 'dialog',
              'aria-label': `Limit: ${words[name] ?? name}`,
              onclick: () => askLimit({ resource: optionOf(name)?.resource, only: name }),
            },
            'Limit…',
          ),
        update: () => {},
      },
    ],
  })
  /** Slots are counted; of rates only what the embeddings API was asked is measured here. */
  function used({ name, kind, used: slots }) {
    const { usage, stages } = model.figures
    if (kind === 'slots') return `${count(slots)} in flight`
    if (name === 'embedding_requests') return `${rate(usage.requestsPerSecond)}`
    if (name === 'embedding_tokens') return `${rate(usage.tokensPerSecond)}`
    const stage = stages.find((one) => name === `${one.stage}_records`)
    return stage ? rate(stage.perSecond) : '–'
  }

  const commands = section.querySelector('#in-force')
  commands.append(h('h3', {}, 'Commands in force'))
  const inForce = table({
    parent: commands,
    caption: 'Pauses and limits by command, in force on every instance',
    empty: 'None: nothing is paused, and the limits are those of the environment.',
    keyOf: ({ kind, stage = '', budget = '', tenant, partition = '' }) =>
      JSON.stringify([kind, stage, budget, tenant, partition]),
    columns: [
      { title: 'What', wide: true, cell: whatNode, update: () => {} },
      { title: 'Since', tight: true, cell: ({ sinceMs }) => ago(sinceMs) },
      { title: 'By', cell: ({ by }) => foreign(by, 60), update: (node, { by }) => setForeign(node, by || '–', 60) },
      {
        title: 'Reason',
        cell: ({ reason }) => foreign(reason),
        update: (node, { reason }) => setForeign(node, reason || '–'),
      },
      {
        title: 'Lift',
        actions: true,
        cell: (row) =>
          h(
            'button',
            {
              type: 'button',
              'aria-haspopup': 'dialog',
              onclick: () => (row.kind === 'pause' ? askResume(row) : askLift(row)),
            },
            row.kind === 'pause' ? 'Resume…' : 'Lift…',
          ),
        update: (button, row) =>
          button.setAttribute(
            'aria-label',
            `${row.kind === 'pause' ? 'Resume' : 'Lift limit of'} ${row.kind === 'pause' ? row.stage || 'all stages' : words[row.budget]} ${row.tenant}`.trim(),
          ),
      },
    ],
  })

  const circuits = section.querySelector('#breakers')
  circuits.append(h('h3', {}, 'Dependencies'))
  const breakers = table({
    parent: circuits,
    caption: 'Circuit breakers, shared by all instances',
    empty: 'None.',
    keyOf: ({ dependency }) => dependency,
    columns: [
      { title: 'Dependency', cell: ({ dependency }) => dependency },
      {
        title: 'Circuit',
        cell: () => h('span'),
        update: (node, { kind }) => {
          node.className = `state ${circuitClass[kind]}`
          setText(node, kind)
        },
      },
      { title: 'Since', cell: ({ kind, sinceMs }) => (kind === 'closed' && !sinceMs ? 'start' : ago(sinceMs)) },
      {
        title: 'Next try',
        cell: ({ kind, retryInMs }) => (kind === 'open' && retryInMs !== undefined ? `in ${duration(retryInMs)}` : '–'),
      },
      {
        title: 'Last reason',
        wide: true,
        cell: ({ reason }) => foreign(reason),
        update: (node, { reason }) => setForeign(node, reason || '–'),
      },
    ],
  })

  return () => {
    if (!model.figures) return
    const { figures } = model
    budgets(figures.budgets)
    inForce([
      ...figures.pauses.map((one) => ({ kind: 'pause', ...one })),
      ...figures.limits.map((one) => ({ kind: 'limit', ...one })),
    ])
    breakers(figures.breakers)
  }
}

const circuitClass = { closed: 'running', 'half-open': 'throttled', open: 'stalled' }

function whatNode(row) {
  if (row.kind === 'pause') return h('span', {}, 'paused: ', describeTarget(row))
  const whose = row.tenant ? [' for tenant ', foreign(row.tenant, 80)] : []
  return h('span', {}, `limited: ${words[row.budget] ?? row.budget} ${inUnit(row.budget, row.value)}`, ...whose)
}
