/** One question at a time, in a <dialog>: it holds the focus, Escape leaves it, and the focus goes back to where it was. */
import { announce, h, setText } from './dom.js'

let number = 0

/**
 * @param fields `{ name, label, type, value, options, required, hint, placeholder, min, step }`
 * @param submit async (values) => what to announce; what it throws is shown and the dialog stays.
 */
export function askFor({ title, text = [], fields = [], action, danger = false, submit, extra = [] }) {
  const id = `dialog-${++number}`
  const inputs = fields.map((field) => field && fieldOf(id, field))
  const problem = h('p', { class: 'error', role: 'alert', hidden: true })
  const cancel = h('button', { type: 'button', onclick: () => dialog.close() }, submit ? 'Cancel' : 'Close')
  const confirm = submit && h('button', { type: 'submit', class: danger ? 'danger' : 'primary' }, action)
  const form = h(
    'form',
    { onsubmit: send, novalidate: false },
    h('h2', { id: `${id}-title` }, title),
    ...text.map((line) => (typeof line === 'string' ? h('p', {}, line) : line)),
    ...inputs.map(({ node }) => node),
    ...extra,
    problem,
    h('div', { class: 'buttons' }, cancel, confirm ?? null),
  )
  const dialog = h('dialog', { 'aria-labelledby': `${id}-title` }, form)

  async function send(event) {
    event.preventDefault()
    problem.hidden = true
    form.setAttribute('aria-busy', 'true')
    confirm.disabled = true
    try {
      const done = await submit(Object.fromEntries(inputs.map(({ name, read }) => [name, read()])))
      dialog.close()
      if (done) announce(done)
    } catch (error) {
      problem.hidden = false
      setText(problem, [error.message, error.hint].filter(Boolean).join('. '))
      confirm.disabled = false
    } finally {
      form.removeAttribute('aria-busy')
    }
  }

  // The browser gives the focus back before that.
  dialog.addEventListener('close', () => dialog.remove())
  dialog.addEventListener('keydown', (event) => event.key === 'Tab' && keepInside(event, dialog))
  document.body.append(dialog)
  dialog.showModal()
  // Who presses Enter twice must not have confirmed: the focus starts at the first field, or at Cancel.
  ;(inputs[0]?.input ?? cancel).focus()
  return dialog
}

/** The rest of the page is inert; the browser's own bar is not, and a round trip through it loses people. */
function keepInside(event, dialog) {
  const stops = [...dialog.querySelectorAll('button, input, select, textarea, a[href], [tabindex="0"]')].filter(
    (node) => !node.disabled,
  )
  const edge = event.shiftKey ? stops[0] : stops.at(-1)
  if (document.activeElement !== edge) return
  event.preventDefault()
  ;(event.shiftKey ? stops.at(-1) : stops[0]).focus()
}

function fieldOf(dialogId, { name, label, type = 'text', options, value = '', hint, ...attributes }) {
  const id = `${dialogId}-${name}`
  const described = hint && { 'aria-describedby': `${id}-hint` }
  const common = { id, name, ...described, ...attributes }
  const input = options
    ? h('select', common, ...options.map(([key, shown]) => h('option', { value: key }, shown)))
    : type === 'lines'
      ? h('textarea', { ...common, rows: 3 })
      : h('input', { ...common, type, autocomplete: 'off', spellcheck: 'false' })
  input.value = value
  const node = h('div', { class: 'field' }, h('label', { for: id }, label), input)
  if (hint) node.append(h('p', { class: 'hint', id: `${id}-hint` }, hint))
  return { name, node, input, read: () => input.value.trim() }
}

/** Who acts: asked for once a tab, shown to everybody beside the command. */
export const whoField = () => ({
  name: 'by',
  label: 'Your name',
  value: sessionStorage.getItem('sluice.name') ?? '',
  hint: 'Others see it beside the command.',
  maxlength: 100,
})
export const remembered = (by) => {
  sessionStorage.setItem('sluice.name', by)
  return by
}
