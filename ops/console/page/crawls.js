/** Crawls with their progress; what failed and why is asked for when somebody opens one. */
import { act, ask } from './api.js'
import { askFor } from './dialog.js'
import { foreign, h, setAttribute, setText, visible } from './dom.js'
import { ago, count, plural } from './format.js'
import { table } from './table.js'

export function createCrawls(section, model) {
  const error = section.querySelector('.error')
  section
    .querySelector('.actions')
    .append(h('button', { type: 'button', 'aria-haspopup': 'dialog', onclick: askCrawl }, 'Start a crawl…'))
  const ended = ({ fetched, gone, unchanged, skipped, failed }) => fetched + gone + unchanged + skipped + failed
  const show = table({
    parent: section.querySelector('.body'),
    caption: 'Crawls, newest first',
    empty: 'No crawl has been asked for yet.',
    keyOf: ({ tenant, id }) => JSON.stringify([tenant, id]),
    columns: [
      { title: 'Tenant', wide: true, cell: ({ tenant }) => foreign(tenant, 80), update: () => {} },
      { title: 'Asked for', number: true, cell: ({ createdMs }) => ago(createdMs) },
      {
        title: 'State',
        cell: () => h('span'),
        update: (node, { status }) => {
          node.className = `state ${status === 'done' ? 'done' : 'running'}`
          setText(node, status)
        },
      },
      {
        title: 'Progress',
        cell: () => h('progress', {}),
        update: (node, row) => {
          node.max = Math.max(1, row.admitted)
          node.value = ended(row)
          setAttribute(node, 'aria-label', `${ended(row)} of ${row.admitted} URLs`)
        },
      },
      { title: 'URLs', number: true, cell: (row) => `${count(ended(row))} of ${count(row.admitted)}` },
      { title: 'Fetched', number: true, cell: ({ fetched }) => count(fetched) },
      { title: 'Unchanged', number: true, cell: ({ unchanged }) => count(unchanged) },
      { title: 'Gone', number: true, cell: ({ gone }) => count(gone) },
      { title: 'Skipped', number: true, cell: ({ skipped }) => count(skipped) },
      { title: 'Failed', number: true, cell: ({ failed }) => count(failed) },
      {
        title: 'Details',
        actions: true,
        cell: (row) =>
          h(
            'button',
            {
              type: 'button',
              'aria-haspopup': 'dialog',
              'aria-label': `Details of the crawl of ${visible(row.tenant).slice(0, 80)}`,
              onclick: () => void showCrawl(row),
            },
            'Details…',
          ),
        update: () => {},
      },
    ],
  })
  return () => {
    const { rows = [], error: problem } = model.crawls ?? {}
    setText(error, problem ? `Cannot be read: ${problem}` : '')
    error.hidden = !problem
    show(rows)
  }
}

async function showCrawl({ tenant, id, maxPages, chunkType }) {
  const list = h('div', { class: 'detail' }, h('p', { class: 'empty' }, 'Reading'))
  askFor({
    title: 'Crawl',
    text: [
      h('p', {}, 'Tenant ', foreign(tenant, 200)),
      h('p', {}, `${id}, at most ${plural(maxPages, 'page')}, chunks of type `, foreign(chunkType, 80)),
      list,
    ],
  })
  try {
    const { reasons, urls } = await ask(`api/crawl?${new URLSearchParams({ tenant, id })}`)
    const why = Object.entries(reasons).map(([reason, pages]) => h('li', {}, `${reason}: ${count(pages)}`))
    const found = urls.map(({ url, state, reason }) =>
      h('li', {}, h('span', { class: 'muted' }, `${state}${reason ? ` (${reason})` : ''} `), foreign(url)),
    )
    list.replaceChildren(
      ...(why.length > 0 ? [h('h3', {}, 'Not fetched because of'), h('ul', {}, ...why)] : []),
      h('h3', {}, found.length > 0 ? `URLs, failed ones first (at most ${urls.length})` : 'No URL yet'),
      h('ul', { class: 'urls' }, ...found),
    )
  } catch (error) {
    list.replaceChildren(h('p', { class: 'error' }, error.message))
  }
}

function askCrawl() {
  askFor({
    title: 'Start a crawl',
    fields: [
      { name: 'tenant', label: 'Tenant', required: true, maxlength: 200 },
      { name: 'urls', label: 'Start URLs, one a line', type: 'lines', required: true },
      { name: 'maxPages', label: 'Most pages', type: 'number', min: 1, step: 1, hint: 'Empty: as configured.' },
    ],
    action: 'Start',
    submit: async ({ tenant, urls, maxPages }) => {
      await act('api/crawl', {
        tenant,
        urls: urls.split(/\s+/).filter(Boolean),
        ...(maxPages && { maxPages: Number(maxPages) }),
      })
      return 'The crawl has been asked for'
    },
  })
}
