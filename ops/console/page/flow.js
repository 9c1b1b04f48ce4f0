/** The way of the data: topics and stages in a row, each with what waits, how fast it goes and what holds it back. */
import { h, keyed, setAttribute, setText } from './dom.js'
import { askLimit } from './limits.js'
import { count, duration, rate } from './format.js'
import { askPause, askResume } from './pauses.js'
import { countStates, reasonText } from './reasons.js'

export function createFlow(section, model) {
  const list = section.querySelector('ol')
  const error = section.querySelector('.error')
  section
    .querySelector('.actions')
    .append(h('button', { type: 'button', onclick: () => askPause({ stage: 'all' }) }, 'Pause everything…'))

  function nodes() {
    const { topology, figures, lag, deadLetters } = model
    const rows = lag?.rows ?? []
    const steps = topology.flatMap(({ stage, from }) => {
      const own = rows.filter((row) => row.stage === stage)
      const local = figures?.stages.find((one) => one.stage === stage)
      const paused = figures?.pauses.find(
        (one) => (one.stage === stage || one.stage === '') && one.tenant === '' && one.partition === -1,
      )
      return [
        { kind: 'topic', name: from, rows: own, dead: deadLetters?.topics?.find(({ topic }) => topic === from)?.open },
        { kind: 'stage', name: stage, rows: own, local, paused },
      ]
    })
    return [...steps, { kind: 'sink', name: 'knowledge' }]
  }
  return () => {
    setText(error, model.lag?.error ? `Lag cannot be read: ${model.lag.error}` : '')
    error.hidden = !model.lag?.error
    keyed(
      list,
      nodes(),
      ({ kind, name }) => `${kind} ${name}`,
      (node) => makers[node.kind](node),
      (item, node) => item.show(node),
    )
  }
}

const makers = { topic: createTopic, stage: createStage, sink: createSink }

const isRetry = ({ topic }) => topic.endsWith('.retry')
const sum = (rows) => rows.reduce((total, { lag }) => total + lag, 0)
const oldest = (rows) => {
  const ages = rows.map(({ oldestAgeMs }) => oldestAgeMs).filter((age) => age !== null)
  return ages.length === 0 ? null : Math.max(...ages)
}

function figure(label, big = false) {
  const value = h('dd')
  return { value, node: h('div', { class: big ? 'big' : undefined }, h('dt', {}, label), value) }
}

function createTopic({ name }) {
  const age = figure('oldest record', true)
  const waiting = figure('waiting')
  const retry = figure('to be retried')
  const dead = figure('dead letters')
  const item = h(
    'li',
    { class: 'topic' },
    h('h3', {}, name),
    h('dl', {}, age.node, waiting.node, retry.node, dead.node),
  )
  item.show = ({ rows, dead: open }) => {
    const lag = sum(rows)
    setText(age.value, rows.length === 0 ? '–' : lag === 0 ? 'none waits' : duration(oldest(rows)))
    setText(waiting.value, rows.length === 0 ? '–' : count(sum(rows.filter((row) => !isRetry(row)))))
    setText(retry.value, rows.length === 0 ? '–' : count(sum(rows.filter(isRetry))))
    dead.node.hidden = open === undefined
    setText(dead.value, count(open))
  }
  return item
}

function createStage({ name }) {
  const states = h('p', { class: 'states' })
  const speed = figure('settled', true)
  const eta = figure('drained in')
  const inFlight = figure('in flight')
  const why = h('ul', { class: 'why' })
  const pause = h('button', {
    type: 'button',
    'aria-haspopup': 'dialog',
    onclick: () => (item.paused ? askResume(item.paused) : askPause({ stage: name })),
  })
  const limit = h(
    'button',
    {
      type: 'button',
      'aria-haspopup': 'dialog',
      'aria-label': `Limit ${name}`,
      onclick: () => askLimit({ resource: name }),
    },
    'Limit…',
  )
  const item = h(
    'li',
    { class: 'stage' },
    h('h3', {}, name),
    states,
    h('dl', {}, speed.node, eta.node, inFlight.node),
    why,
    h('div', { class: 'buttons' }, pause, limit),
  )
  item.show = ({ rows, local, paused }) => {
    item.paused = paused
    showStates(states, rows)
    setText(speed.value, local ? rate(local.perSecond) : 'not here')
    const etas = rows.filter((row) => row.lag > 0).map(({ etaMs }) => etaMs)
    setText(eta.value, etas.length === 0 ? '–' : etas.includes(null) ? 'not known' : duration(Math.max(...etas)))
    setText(inFlight.value, local ? count(local.inFlight) : '–')
    const reasons = [...new Set(rows.flatMap((row) => row.reasons))]
    keyed(
      why,
      reasons,
      String,
      () => h('li'),
      (node, code) => {
        const partitions = rows.filter((row) => row.reasons.includes(code)).length
        setText(node, `${reasonText(code)} (${partitions} of ${rows.length} partitions)`)
      },
    )
    setText(pause, paused ? 'Resume…' : 'Pause…')
    setAttribute(pause, 'aria-label', `${paused ? 'Resume' : 'Pause'} ${name}`)
  }
  return item
}

/** One badge a state; how many of the partitions, where it is not all. */
export function showStates(parent, rows) {
  const counts = countStates(rows)
  const shown = counts.length === 0 ? [['unknown', 0]] : counts
  keyed(
    parent,
    shown,
    ([state]) => state,
    ([state]) => h('span', { class: `state ${state}` }),
    (node, [state, number]) => setText(node, counts.length > 1 ? `${state} ${number}` : state),
  )
}

function createSink() {
  const item = h('li', { class: 'sink' }, h('h3', {}, 'knowledge'), h('p', {}, 'chunks with embeddings, in Postgres'))
  item.show = () => {}
  return item
}
