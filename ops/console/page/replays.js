/** Replays: what they would do, first; then, after a question, they do it. */
import { act } from './api.js'
import { askFor } from './dialog.js'
import { foreign, h, setForeign, setText } from './dom.js'
import { ago, count, duration } from './format.js'
import { table } from './table.js'

export function createReplays(section, model) {
  const error = section.querySelector('.error')
  section
    .querySelector('.actions')
    .append(h('button', { type: 'button', 'aria-haspopup': 'dialog', onclick: askPlan }, 'Plan a replay…'))
  const show = table({
    parent: section.querySelector('.body'),
    caption: 'Replays, newest first',
    empty: 'No replay yet.',
    keyOf: ({ id }) => id,
    columns: [
      { title: 'Replay', cell: ({ id }) => id.slice(0, 8) },
      { title: 'Stage', cell: ({ stage }) => stage },
      {
        title: 'What',
        wide: true,
        cell: ({ what }) => foreign(what),
        update: (node, { what }) => setForeign(node, what),
      },
      {
        title: 'State',
        cell: () => h('span'),
        update: (node, { state }) => {
          node.className = `state ${classes[state] ?? 'done'}`
          setText(node, state)
        },
      },
      {
        title: 'Progress',
        cell: () => h('progress', {}),
        update: (node, { done, total }) => {
          node.max = Math.max(1, total ?? 1)
          node.value = done
          node.setAttribute('aria-label', `${count(done)} of ${count(total)} records`)
        },
      },
      {
        title: 'Records',
        number: true,
        cell: ({ done, total }) => (total === null ? count(done) : `${count(done)} of ${count(total)}`),
      },
      { title: 'Done in', number: true, cell: ({ etaMs }) => duration(etaMs) },
      { title: 'Asked for', number: true, cell: ({ createdMs }) => ago(createdMs) },
      {
        title: 'Cancel',
        actions: true,
        cell: ({ id, what }) =>
          h(
            'button',
            {
              type: 'button',
              'aria-haspopup': 'dialog',
              'aria-label': `Cancel replay ${id.slice(0, 8)}`,
              onclick: () => askCancel(id, what),
            },
            'Cancel…',
          ),
        update: (button, { cancellable }) => (button.hidden = !cancellable),
      },
    ],
  })
  return () => {
    const { rows = [], error: problem } = model.replays ?? {}
    setText(error, problem ? `Cannot be read: ${problem}` : '')
    error.hidden = !problem
    show(rows)
  }
}

const classes = {
  running: 'running',
  waiting: 'paused',
  interrupted: 'paused',
  failed: 'stalled',
  cancelled: 'done',
  done: 'done',
}
const hint = 'an offset, a time (2025-03-01T12:00:00Z) or an age (2h)'

function askPlan() {
  askFor({
    title: 'Replay: dry run first',
    text: ['Nothing is written yet: it is counted what a replay would do.'],
    fields: [
      {
        name: 'stage',
        label: 'Stage',
        options: ['chunker', 'processor', 'crawler'].map((stage) => [stage, stage]),
        value: 'chunker',
      },
      { name: 'from', label: 'From', required: true, value: 'beginning', hint },
      { name: 'to', label: 'To', value: 'now', hint },
      { name: 'partition', label: 'Partition', type: 'number', min: 0, step: 1, hint: 'Empty: all.' },
      { name: 'tenant', label: 'Tenant', hint: 'Empty: all.' },
    ],
    action: 'Dry run',
    submit: async ({ stage, from, to, partition, tenant }) => {
      const wish = {
        stage,
        from,
        ...(to && { to }),
        ...(partition !== '' && { partition: Number(partition) }),
        ...(tenant && { tenant }),
      }
      const plan = await act('api/replays/plan', wish)
      // After this dialog has closed and given the focus back.
      setTimeout(() => askStart(wish, plan))
      return 'The dry run is done'
    },
  })
}

function askStart(wish, plan) {
  const figures = Object.entries(plan).map(([name, value]) =>
    h(
      'div',
      {},
      h('dt', {}, words[name] ?? name),
      h('dd', {}, foreign(typeof value === 'number' ? count(value) : value, 400)),
    ),
  )
  askFor({
    title: `Replay of ${wish.stage}?`,
    text: [
      h(
        'p',
        {},
        `From ${wish.from} to ${wish.to ?? 'now'}`,
        wish.tenant ? ', tenant ' : '',
        wish.tenant ? foreign(wish.tenant, 80) : '',
        wish.partition === undefined ? '' : `, partition ${wish.partition}`,
        ': it would be',
      ),
      h('dl', { class: 'plan' }, ...figures),
      'It takes what live work leaves of the limits, and can be cancelled at any time.',
    ],
    action: 'Start the replay',
    submit: async () => {
      await act('api/replays/start', wish)
      return 'The replay has started'
    },
  })
}

function askCancel(id, what) {
  askFor({
    title: 'Cancel this replay?',
    text: [h('p', {}, foreign(what)), 'What it has done stays done; it does not go on.'],
    action: 'Cancel the replay',
    danger: true,
    submit: async () => {
      await act('api/replays/cancel', { id })
      return 'Cancelled'
    },
  })
}

const words = {
  records: 'Records',
  pagesChanged: 'Pages changed',
  chunksInserted: 'Chunks inserted',
  chunksDeleted: 'Chunks deleted',
  embeddingInputs: 'Texts to embed',
  embeddingTokens: 'Tokens to buy',
  cost: 'Cost, about',
}
