/**
 * Elements with text, never with markup: what pages, tenants and operators wrote is set as textContent and nothing else.
 * (The policy of the server forbids innerHTML altogether, so a slip would throw, not run.)
 */

const SVG = 'http://www.w3.org/2000/svg'

/** `h('button', { class: 'small', onclick }, 'Pause')`; children are nodes or texts. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children)
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children)
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value)
    else if (value === true) node.setAttribute(name, '')
    else if (value !== false && value !== undefined && value !== null) node.setAttribute(name, String(value))
  }
  node.append(...children.filter((child) => child !== null && child !== undefined))
  return node
}

/** Touches the page only where something has changed: selections, focus and screen readers stay undisturbed. */
export function setText(node, text) {
  const wanted = String(text)
  if (node.textContent !== wanted) node.textContent = wanted
}

export function setAttribute(node, name, value) {
  if (value === null || value === undefined || value === false) node.removeAttribute(name)
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, String(value))
}

/** One child a key, kept while its key is there, in the order of `items`; what has focus is never moved without need. */
export function keyed(parent, items, keyOf, create, update) {
  const before = new Map([...parent.children].map((child) => [child.dataset.key, child]))
  let at = parent.firstElementChild
  for (const item of items) {
    const key = String(keyOf(item))
    let node = before.get(key)
    if (!node) {
      node = create(item)
      node.dataset.key = key
    }
    before.delete(key)
    if (node === at) at = at.nextElementSibling
    else parent.insertBefore(node, at)
    update(node, item)
  }
  for (const node of before.values()) node.remove()
}

/** Characters that change the direction of what follows, and control characters, are shown by their number. */
const unseen = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g
const LONGEST = 300

/** Somebody else's text, on one line: harmless, of a bounded length, and apart from the direction of its surroundings. */
export function foreign(text, longest = LONGEST) {
  const node = h('bdi', { class: 'foreign' })
  setForeign(node, text, longest)
  return node
}

export function setForeign(node, text, longest = LONGEST) {
  const shown = visible(text)
  setText(node, shown.length > longest ? `${shown.slice(0, longest)} …` : shown)
}

export const visible = (text) =>
  String(text ?? '').replace(
    unseen,
    (found) => `⟨U+${found.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}⟩`,
  )

let announcer
/** For screen readers: changes of state, not figures. */
export function announce(text) {
  announcer ??= document.getElementById('announcer')
  setText(announcer, text)
}
