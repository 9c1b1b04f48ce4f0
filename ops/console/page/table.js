/** Tables that stay tables for screen readers and become cards on a phone. */
import { h, keyed, setText } from './dom.js'

/**
 * @param columns `{ title, number, cell(row) → text | node, update(node, row), wide }`; a column of nodes makes its node
 * once with `cell` and changes it with `update`.
 * @returns show(rows)
 */
export function table({ parent, caption, columns, keyOf, empty, rowClass }) {
  const body = h('tbody', { role: 'rowgroup' })
  const head = h(
    'tr',
    { role: 'row' },
    ...columns.map(({ title, number, actions }) =>
      h('th', { scope: 'col', role: 'columnheader', class: number ? 'number' : actions && 'row-actions' }, title),
    ),
  )
  const nothing = h('p', { class: 'empty' }, empty)
  const whole = h(
    'table',
    { role: 'table' },
    h('caption', { class: 'unseen' }, caption),
    h('thead', { role: 'rowgroup' }, head),
    body,
  )
  parent.append(whole, nothing)

  function create(row) {
    return h(
      'tr',
      { role: 'row' },
      ...columns.map((column) => {
        const classes = [
          column.number && 'number',
          column.wide && 'wide',
          column.tight && 'tight',
          column.actions && 'row-actions',
        ].filter(Boolean)
        const cell = h('td', { role: 'cell', 'data-label': column.title, class: classes.join(' ') || undefined })
        if (column.update) cell.append(column.cell(row))
        return cell
      }),
    )
  }
  function update(tr, row) {
    if (rowClass) tr.className = rowClass(row)
    columns.forEach((column, index) => {
      const cell = tr.children[index]
      if (column.update) column.update(cell.firstChild, row)
      else setText(cell, column.cell(row))
    })
  }
  return (rows) => {
    whole.hidden = rows.length === 0
    nothing.hidden = rows.length > 0
    keyed(body, rows, keyOf, create, update)
  }
}
