/** Lag by partition: age first, then the time until it is worked off, then offsets. What is well is folded away. */
import { h, keyed, setAttribute, setText } from './dom.js'
import { count, duration } from './format.js'
import { askPause, askResume } from './pauses.js'
import { reasonText } from './reasons.js'
import { table } from './table.js'

export function createLag(section, model) {
  const parent = section.querySelector('.body')
  const error = section.querySelector('.error')
  const all = h('input', { type: 'checkbox', id: 'lag-all', onchange: () => update() })
  section.querySelector('.actions').append(h('label', { class: 'check' }, all, 'all partitions'))
  const show = table({
    parent,
    caption: 'Lag by consumer group, topic and partition',
    empty: 'No partition waits.',
    keyOf: ({ topic, partition }) => `${topic}/${partition}`,
    columns: [
      { title: 'Topic', wide: true, cell: ({ topic }) => topic },
      { title: 'Part.', number: true, cell: ({ partition }) => partition },
      {
        title: 'State',
        cell: () => h('span'),
        update: (node, { state }) => {
          node.className = `state ${state}`
          setText(node, state)
        },
      },
      { title: 'Oldest', number: true, cell: ({ oldestAgeMs, lag }) => (lag === 0 ? '–' : duration(oldestAgeMs)) },
      {
        title: 'Drained in',
        number: true,
        cell: ({ etaMs, lag }) => (lag === 0 ? '–' : etaMs === null ? 'not known' : duration(etaMs)),
      },
      { title: 'Lag', number: true, cell: ({ lag }) => count(lag) },
      { title: 'Committed', number: true, cell: ({ committed }) => committed ?? 'none' },
      { title: 'End', number: true, cell: ({ end }) => end },
      {
        title: 'Why',
        wide: true,
        cell: () => h('span'),
        update: (node, { reasons }) => setText(node, reasons.map(reasonText).join('; ') || '–'),
      },
      {
        title: 'Pause',
        actions: true,
        cell: (row) =>
          h('button', {
            type: 'button',
            'aria-haspopup': 'dialog',
            onclick: () => (pauseOf(row) ? askResume(pauseOf(row)) : askPause(row)),
          }),
        update: (button, row) => {
          const paused = pauseOf(row)
          button.hidden = row.topic.endsWith('.retry')
          setText(button, paused ? 'Resume…' : 'Pause…')
          setAttribute(button, 'aria-label', `${paused ? 'Resume' : 'Pause'} ${row.stage}, partition ${row.partition}`)
        },
      },
    ],
  })
  /** A command for the stage or a tenant is lifted where it was given: by the same words. */
  const pauseOf = ({ stage, partition }) =>
    model.figures?.pauses.find((one) => one.stage === stage && one.partition === partition && one.tenant === '')
  const groups = h('ul', { class: 'groups' })
  parent.prepend(groups)

  function update() {
    const { rows = [], error: problem } = model.lag ?? {}
    setText(error, problem ? `Cannot be read: ${problem}` : '')
    error.hidden = !problem
    const perGroup = Map.groupBy(rows, ({ group }) => group)
    keyed(
      groups,
      [...perGroup],
      ([group]) => group,
      () => h('li'),
      (node, [group, own]) => {
        const lag = own.reduce((sum, row) => sum + row.lag, 0)
        const ages = own.map(({ oldestAgeMs }) => oldestAgeMs ?? 0)
        setText(
          node,
          `${group}: ${lag === 0 ? 'nothing waits' : `${count(lag)} records wait, the oldest ${duration(Math.max(...ages))}`}`,
        )
      },
    )
    // Retry topics and partitions that are well are most of the rows, and say nothing.
    show(rows.filter(({ lag, state }) => all.checked || lag > 0 || state !== 'running'))
  }
  return update
}
