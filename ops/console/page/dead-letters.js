/** Records that failed for good: seen, given back to their stage, or put aside with a reason that is kept. */
import { act, ask } from './api.js'
import { askFor, remembered, whoField } from './dialog.js'
import { announce, foreign, h, keyed, setForeign, setText, visible } from './dom.js'
import { ago, count, plural } from './format.js'
import { table } from './table.js'

const keyOf = ({ topic, partition, offset }) => `${topic}/${partition}/${offset}`

export function createDeadLetters(section, model) {
  const scope = section.querySelector('.scope')
  const error = section.querySelector('.error')
  const body = section.querySelector('.body')
  /** Keys of what is ticked; what is gone from the list is no longer meant. */
  const chosen = new Set()
  const topic = h('select', { 'aria-label': 'Topic', onchange: changed }, h('option', { value: '' }, 'all topics'))
  const tenant = h('input', { type: 'search', 'aria-label': 'Tenant', placeholder: 'tenant', oninput: changed })
  const code = h('input', { type: 'search', 'aria-label': 'Error code', placeholder: 'error code', oninput: changed })
  const redrive = h('button', { type: 'button', 'aria-haspopup': 'dialog', onclick: () => askRedrive(choice()) })
  const discard = h('button', { type: 'button', 'aria-haspopup': 'dialog', onclick: () => askDiscard(choice()) })
  section.querySelector('.actions').append(topic, tenant, code, redrive, discard)
  const jobs = h('ul', { class: 'jobs' })
  body.append(jobs)

  const show = table({
    parent: body,
    caption: 'Dead letters, newest first',
    empty: 'No dead letters.',
    keyOf,
    columns: [
      {
        title: 'Choose',
        cell: (row) =>
          h('input', {
            type: 'checkbox',
            'aria-label': `Choose ${keyOf(row)}`,
            onchange: (event) => tick(row, event.target.checked),
          }),
        update: (box, row) => (box.checked = chosen.has(keyOf(row))),
      },
      { title: 'Failed', number: true, cell: ({ deadSinceMs }) => ago(deadSinceMs) },
      { title: 'Error', cell: ({ code: of }) => foreign(of, 40), update: () => {} },
      { title: 'Message', wide: true, cell: ({ message }) => foreign(message, 160), update: () => {} },
      { title: 'Tenant', wide: true, cell: ({ tenant: of }) => foreign(of || '(none)', 60), update: () => {} },
      {
        title: 'Page',
        wide: true,
        cell: ({ url, title }) => foreign(title ? `${title}  ${url}` : url || '–', 120),
        update: () => {},
      },
      {
        title: 'Attempts',
        number: true,
        cell: ({ attempts, cycle }) => (cycle > 0 ? `${attempts}, redriven ${cycle}×` : attempts),
      },
      { title: 'Topic, partition, offset', cell: (row) => `${row.topic} ${row.partition}/${row.offset}` },
      { title: 'State', cell: () => h('span'), update: (node, { state }) => setForeign(node, state, 40) },
      {
        title: 'Details',
        actions: true,
        cell: (row) =>
          h(
            'button',
            {
              type: 'button',
              'aria-haspopup': 'dialog',
              'aria-label': `Details of ${keyOf(row)}`,
              onclick: () => void showLetter(row),
            },
            'Details…',
          ),
        update: () => {},
      },
    ],
  })

  function tick(row, on) {
    if (on) chosen.add(keyOf(row))
    else chosen.delete(keyOf(row))
    update()
  }
  function changed() {
    chosen.clear()
    update()
  }
  const matches = (row) =>
    (topic.value === '' || row.topic === topic.value) &&
    (tenant.value.trim() === '' || row.tenant === tenant.value.trim()) &&
    (code.value.trim() === '' || row.code === code.value.trim())
  /** One request a topic: the ticked ones, or all that match. */
  function choice() {
    const { rows = [], topics = [] } = model.deadLetters ?? {}
    const ticked = rows.filter((row) => chosen.has(keyOf(row)))
    if (ticked.length > 0)
      return [...Map.groupBy(ticked, (row) => row.topic)].map(([of, own]) => ({
        topic: of,
        ids: own.map(({ partition, offset }) => `${partition}/${offset}`),
        number: own.length,
      }))
    const filter = {
      ...(tenant.value.trim() && { tenant: tenant.value.trim() }),
      ...(code.value.trim() && { code: code.value.trim() }),
    }
    const isAll = Object.keys(filter).length === 0
    return topics
      .filter((one) => one.open > 0 && (topic.value === '' || one.topic === topic.value))
      .map((one) => ({ topic: one.topic, ...filter, number: isAll ? one.open : null }))
  }
  function update() {
    const { rows = [], topics = [], total = 0, oldestMs = null, error: problem } = model.deadLetters ?? {}
    setText(error, problem ? `Cannot be read: ${problem}` : '')
    error.hidden = !problem
    setText(
      scope,
      total === 0
        ? 'None is open.'
        : `${plural(total, 'open letter')}, the oldest from ${ago(oldestMs)}; the newest are shown.`,
    )
    keyed(
      topic,
      [{ topic: '' }, ...topics],
      (one) => one.topic,
      (one) => h('option', { value: one.topic }),
      (node, one) => setText(node, one.topic === '' ? 'all topics' : `${one.topic} (${count(one.open)})`),
    )
    const keys = new Set(rows.map(keyOf))
    for (const key of chosen) if (!keys.has(key)) chosen.delete(key)
    setText(redrive, chosen.size > 0 ? `Redrive ${count(chosen.size)}…` : 'Redrive all that match…')
    setText(discard, chosen.size > 0 ? `Discard ${count(chosen.size)}…` : 'Discard all that match…')
    redrive.disabled = discard.disabled = total === 0
    show(rows.filter(matches))
    keyed(
      jobs,
      (model.figures?.jobs ?? []).filter(({ what }) => !what.startsWith('Replay')),
      ({ id }) => id,
      createJob,
      (node, job) => node.show(job),
    )
  }
  return update
}

function createJob({ id }) {
  const text = h('span')
  const stop = h(
    'button',
    { type: 'button', onclick: () => act('api/jobs/stop', { id }).catch((error) => announce(error.message)) },
    'Stop',
  )
  const node = h('li', {}, text, stop)
  node.show = ({ what, state, detail }) => {
    setText(text, `${what}: ${visible(detail)}`)
    setText(stop, `Stop`)
    stop.setAttribute('aria-label', `Stop: ${what}`)
    stop.hidden = state !== 'running'
  }
  return node
}

const describe = (choices) =>
  h(
    'ul',
    {},
    ...choices.map(({ topic, number, tenant, code }) =>
      h(
        'li',
        {},
        `${number === null ? 'all open letters' : plural(number, 'letter')} of ${topic}`,
        tenant ? ' of tenant ' : '',
        tenant ? foreign(tenant, 80) : '',
        code ? ' with error ' : '',
        code ? foreign(code, 80) : '',
      ),
    ),
  )

/** `number` is for people. */
const bodies = (choices) => choices.map(({ number: _, ...body }) => body)

function askRedrive(choices) {
  askFor({
    title: 'Redrive?',
    text: [
      'They go back to their topic and are worked on again; each at most once, whoever else redrives.',
      describe(choices),
    ],
    fields: [
      { name: 'perSecond', label: 'Letters a second', type: 'number', min: 1, step: 1, value: '10' },
      whoField(),
    ],
    action: 'Redrive',
    submit: async ({ perSecond, by }) => {
      for (const body of bodies(choices))
        await act('api/dead-letters/redrive', {
          ...body,
          by: remembered(by),
          ...(perSecond && { perSecond: Number(perSecond) }),
        })
      return 'Redriving'
    },
  })
}

function askDiscard(choices) {
  askFor({
    title: 'Discard?',
    text: [
      'They are never worked on again. The records stay in their topic until its retention; the reason is kept.',
      describe(choices),
    ],
    fields: [{ name: 'reason', label: 'Reason', required: true, maxlength: 500 }, whoField()],
    action: 'Discard',
    danger: true,
    submit: async ({ reason, by }) => {
      for (const body of bodies(choices)) await act('api/dead-letters/discard', { ...body, reason, by: remembered(by) })
      return 'Discarded'
    },
  })
}

async function showLetter({ topic, partition, offset, code, message }) {
  const value = h('pre', { class: 'letter', tabindex: '0', 'aria-label': 'The letter' }, 'Reading')
  askFor({
    title: 'Dead letter',
    text: [
      h('p', {}, `${topic} ${partition}/${offset}`),
      h('p', {}, h('strong', {}, foreign(code, 80)), ' ', foreign(message, 2_000)),
      value,
    ],
  })
  try {
    const letter = await ask(`api/dead-letter?${new URLSearchParams({ topic, id: `${partition}/${offset}` })}`)
    // Line breaks are the layout of the JSON; those inside of texts are escaped by it.
    setText(value, JSON.stringify(letter, null, 2).split('\n').map(visible).join('\n').slice(0, 100_000))
  } catch (problem) {
    setText(value, problem.message)
  }
}
