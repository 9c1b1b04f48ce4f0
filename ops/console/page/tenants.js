/** Tenants that have work: how fast it goes, what is limited or paused. */
import { foreign, h, setAttribute, setText, visible } from './dom.js'
import { ago, count, rate } from './format.js'
import { askLimit, inUnit } from './limits.js'
import { askPause, askResume } from './pauses.js'
import { table } from './table.js'

export function createTenants(section, model) {
  const error = section.querySelector('.error')
  const search = h('input', {
    type: 'search',
    'aria-label': 'Filter tenants',
    placeholder: 'Filter',
    oninput: () => update(),
  })
  section.querySelector('.actions').append(search)
  const pauseOf = (tenant) => model.figures?.pauses.find((one) => one.tenant === tenant)
  const limitsOf = (tenant) => model.figures?.limits.filter((one) => one.tenant === tenant) ?? []
  const speed = (stage) => ({
    title: `${stage}`,
    number: true,
    cell: ({ perSecond }) => (perSecond[stage] ? rate(perSecond[stage]) : '–'),
  })
  const show = table({
    parent: section.querySelector('.body'),
    caption: 'Tenants with work, latest first',
    empty: 'No tenant has had work since this instance started.',
    keyOf: ({ tenant }) => tenant,
    columns: [
      { title: 'Tenant', wide: true, cell: ({ tenant }) => foreign(tenant, 80), update: () => {} },
      {
        title: 'State',
        cell: () => h('span'),
        update: (node, { tenant }) => {
          const state = pauseOf(tenant) ? 'paused' : limitsOf(tenant).length > 0 ? 'throttled' : 'running'
          node.className = `state ${state}`
          setText(node, { paused: 'paused', throttled: 'limited', running: 'free' }[state])
        },
      },
      speed('crawler'),
      speed('processor'),
      speed('chunker'),
      { title: 'Last record', number: true, cell: ({ lastSeenMs }) => ago(lastSeenMs) },
      { title: 'Crawls', number: true, cell: ({ runningCrawls }) => count(runningCrawls) },
      { title: 'URLs to fetch', number: true, cell: ({ pendingUrls }) => count(pendingUrls) },
      { title: 'Failures', number: true, cell: ({ failures }) => count(failures) },
      {
        title: 'Own limits',
        wide: true,
        cell: ({ tenant }) =>
          limitsOf(tenant)
            .map(({ budget, value }) => inUnit(budget, value))
            .join('; ') || '–',
      },
      {
        title: 'Change',
        actions: true,
        cell: buttons,
        update: (node, { tenant }) => {
          const paused = pauseOf(tenant)
          const [pause] = node.children
          setText(pause, paused ? 'Resume…' : 'Pause…')
          setAttribute(pause, 'aria-label', `${paused ? 'Resume' : 'Pause'} tenant ${visible(tenant).slice(0, 80)}`)
        },
      },
    ],
  })
  function buttons({ tenant }) {
    const named = visible(tenant).slice(0, 80)
    return h(
      'div',
      { class: 'buttons' },
      h(
        'button',
        {
          type: 'button',
          'aria-haspopup': 'dialog',
          onclick: () => (pauseOf(tenant) ? askResume(pauseOf(tenant)) : askPause({ tenant })),
        },
        'Pause…',
      ),
      h(
        'button',
        {
          type: 'button',
          'aria-haspopup': 'dialog',
          'aria-label': `Limit tenant ${named}`,
          onclick: () => askLimit({ tenant }),
        },
        'Limit…',
      ),
    )
  }
  function update() {
    const { rows = [], error: problem } = model.tenants ?? {}
    setText(error, problem ? `Cannot be read: ${problem}` : '')
    error.hidden = !problem
    const wanted = search.value.trim().toLowerCase()
    show(rows.filter(({ tenant }) => tenant.toLowerCase().includes(wanted)).slice(0, 200))
  }
  return update
}
