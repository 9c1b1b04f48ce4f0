/**
 * A page as a list of segments: the smallest pieces that are kept or left as a whole (a paragraph, a list item, a table
 * row, a heading, a code block), each with the boxes it lies in. Pure reading: the document is not changed.
 */
import type { BlockKind } from '../../schemas/generated/types.ts'
import { clean, lines, mass, oneLine, verbatim } from './text.ts'

/** An element that lays its content out as a block; `mass` and `linkMass` sum over everything inside. */
export interface Box {
  readonly parent: Box | null
  readonly tag: string
  /** Class, id, role and item type, lower-cased, as the features read them. */
  readonly label: string
  mass: number
  linkMass: number
  segments: number
  /** Children by tag and class: many alike are a list of cards or of links. */
  readonly alike: Map<string, number>
  /** The greatest count in `alike`. */
  mostAlike: number
}

export interface Segment {
  readonly kind: BlockKind
  readonly text: string
  readonly mass: number
  readonly linkMass: number
  readonly level: number
  readonly lang: string
  readonly tag: string
  readonly box: Box
  /** Segments of one list, table or quote share a group; 0: stands alone. */
  readonly group: number
  /** What a list item's line starts with; empty: goes on with the item's line. */
  readonly marker: string
  /** Text nodes it was made of, trimmed, for looking up what another extractor kept. */
  readonly pieces: readonly string[]
}

const BLOCK = new Set(
  `address article aside blockquote body button caption center dd details dialog dir div dl dt fieldset figcaption figure
   footer form h1 h2 h3 h4 h5 h6 header hgroup hr legend li main menu nav ol p pre section summary table tbody td tfoot th
   thead tr ul`.split(/\s+/),
)
const HEADING = /^h[1-6]$/
const LINE_NUMBERS = /^\s*\d[\d\s]*$/

interface Context {
  readonly box: Box
  readonly group: number
  readonly list: { readonly ordered: boolean; readonly depth: number; next: number } | undefined
  /** The item whose line is being written; its marker is used up by its first segment. */
  readonly item: { marker: string } | undefined
  readonly quote: number
  readonly link: boolean
}

/** Reads all visible text below `root`, in document order. */
export function segmentsOf(root: Element): Segment[] {
  const segments: Segment[] = []
  let groups = 0
  let text = ''
  let linkMass = 0
  let pieces: string[] = []

  const newBox = (element: Element, parent: Box | null): Box => {
    const tag = element.localName
    const label = labelOf(element)
    const sign = `${tag}.${(element.getAttribute('class') ?? '').replace(/\d+/g, '')}`
    if (parent) {
      const count = (parent.alike.get(sign) ?? 0) + 1
      parent.alike.set(sign, count)
      parent.mostAlike = Math.max(parent.mostAlike, count)
    }
    return { parent, tag, label, mass: 0, linkMass: 0, segments: 0, alike: new Map(), mostAlike: 0 }
  }
  const add = (segment: Omit<Segment, 'mass' | 'linkMass' | 'pieces'>) => {
    const own = mass(segment.text)
    const links = Math.min(own, linkMass)
    segments.push({ ...segment, mass: own, linkMass: links, pieces })
    for (let box: Box | null = segment.box; box; box = box.parent) {
      box.mass += own
      box.linkMass += links
      box.segments++
    }
  }
  const reset = () => {
    text = ''
    linkMass = 0
    pieces = []
  }
  const flush = (context: Context, tag = context.box.tag) => {
    const inList = context.item !== undefined
    const content = inList ? oneLine(text) : lines(text)
    if (content !== '') {
      const kind = inList ? 'LIST' : context.quote > 0 ? 'QUOTE' : 'PARAGRAPH'
      const group = inList ? context.group : context.quote
      const marker = context.item?.marker ?? ''
      add({ kind, text: content, level: 0, lang: '', tag, box: context.box, group, marker })
      if (context.item) context.item.marker = ''
    }
    reset()
  }
  const single = (element: Element, context: Context, kind: BlockKind, content: string, level = 0, lang = '') => {
    const box = newBox(element, context.box)
    if (content !== '') add({ kind, text: content, level, lang, tag: box.tag, box, group: 0, marker: '' })
    reset()
  }
  const collect = (node: Node, link: boolean) => {
    for (let child = node.firstChild; child; child = child.nextSibling) {
      if (child.nodeType === 3) addText(child.nodeValue ?? '', link)
      else if (child.nodeType === 1) {
        const name = (child as Element).localName
        const breaks = name === 'br' || BLOCK.has(name)
        if (breaks) text += '\n'
        collect(child, link || name === 'a')
        if (breaks && name !== 'br') text += '\n'
      }
    }
  }
  const addText = (data: string, link: boolean) => {
    text += data
    const piece = data.trim()
    if (piece === '') return
    pieces.push(piece)
    if (link) linkMass += mass(piece)
  }

  const heading = (element: Element, context: Context) => {
    collect(element, context.link)
    single(element, context, 'HEADING', oneLine(text), Number(element.localName[1]))
  }
  const code = (element: Element, context: Context) => {
    collect(element, false)
    const content = LINE_NUMBERS.test(text) ? '' : verbatim(text)
    single(element, context, 'CODE', content, 0, languageOfCode(element))
  }
  const table = (element: Element, context: Context) => {
    const box = newBox(element, context.box)
    const group = ++groups
    for (const row of rowsOf(element)) {
      const cells: string[] = []
      for (let cell = row.firstElementChild; cell; cell = cell.nextElementSibling) {
        // Each cell by itself: reading the end of a growing text copies all of it, for every cell again.
        text = ''
        collect(cell, context.link)
        cells.push(oneLine(text))
      }
      const content = row.localName === 'caption' ? oneLine(row.textContent ?? '') : cells.join(' | ')
      const rowBox = newBox(row, box)
      if (/[^\s|]/.test(content))
        add({ kind: 'TABLE', text: content, level: 0, lang: '', tag: row.localName, box: rowBox, group, marker: '' })
      reset()
    }
  }

  const element = (child: Element, context: Context) => {
    const name = child.localName
    if (name === 'br') return void (text += '\n')
    if (name === 'a') {
      // Links beside each other are laid out apart; their texts must not glue.
      if (child.previousSibling?.nodeName === 'A') text += ' '
      return walk(child, { ...context, link: true })
    }
    if (!BLOCK.has(name) && !name.includes('-')) return walk(child, context)
    flush(context)
    if (HEADING.test(name)) return heading(child, context)
    if (name === 'pre') return code(child, context)
    if (name === 'table' && isDataTable(child)) return table(child, context)
    const inner = enter(child, name, context)
    walk(child, inner)
    flush(inner)
  }
  const enter = (child: Element, name: string, context: Context): Context => {
    const box = newBox(child, context.box)
    if (name === 'ul' || name === 'ol' || name === 'dl' || name === 'menu') {
      const depth = context.item && context.list ? context.list.depth + 1 : 0
      const next = Number.parseInt(child.getAttribute('start') ?? '1', 10) || 1
      const group = depth > 0 ? context.group : ++groups
      return { ...context, box, group, list: { ordered: name === 'ol', depth, next } }
    }
    if ((name === 'li' || name === 'dt' || name === 'dd') && context.list) {
      if (isRich(child)) return { ...context, box, item: undefined, list: undefined }
      const { ordered, depth } = context.list
      const indent = '  '.repeat(name === 'dd' ? depth + 1 : depth)
      return { ...context, box, item: { marker: indent + (ordered ? `${context.list.next++}. ` : '- ') } }
    }
    if (name === 'blockquote') return { ...context, box, quote: ++groups }
    return { ...context, box }
  }
  const walk = (node: Node, context: Context) => {
    for (let child = node.firstChild; child; child = child.nextSibling) {
      if (child.nodeType === 3) addText(child.nodeValue ?? '', context.link)
      else if (child.nodeType === 1) element(child as Element, context)
    }
  }

  const context = { box: newBox(root, null), group: 0, list: undefined, item: undefined, quote: 0, link: false }
  walk(root, context)
  flush(context)
  return segments
}

const labelOf = (element: Element): string =>
  ['class', 'id', 'role', 'itemprop', 'itemtype']
    .map((name) => element.getAttribute(name) ?? '')
    .join(' ')
    // camelCase becomes words, as the hints are words.
    .replace(/([a-z])([A-Z])/g, '$1-$2')
    .toLowerCase()

const RICH = new Set(['h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'pre', 'table', 'article', 'blockquote', 'section'])
/** An item that has a structure of its own (a card, a post) is not one line of a list. */
function isRich(item: Element): boolean {
  for (let child = item.firstElementChild; child; child = child.nextElementSibling)
    if (RICH.has(child.localName) || (child.localName !== 'li' && isRich(child))) return true
  return false
}

function rowsOf(table: Element): Element[] {
  const rows: Element[] = []
  for (let child = table.firstElementChild; child; child = child.nextElementSibling) {
    if (child.localName === 'tr' || child.localName === 'caption') rows.push(child)
    else if (/^t(head|body|foot)$/.test(child.localName)) rows.push(...rowsOf(child))
  }
  return rows
}

/** Data, not layout: several columns of short cells without a structure of their own. */
function isDataTable(table: Element): boolean {
  if (/\b(?:presentation|none)\b/.test(table.getAttribute('role') ?? '')) return false
  const rows = rowsOf(table)
  let cells = 0
  let characters = 0
  let headers = 0
  for (const row of rows)
    for (let cell = row.firstElementChild; cell; cell = cell.nextElementSibling) {
      if (isRich(cell)) return false
      cells++
      characters += cell.textContent?.length ?? 0
      if (cell.localName === 'th') headers++
    }
  return cells >= 2 && (headers > 0 || cells > rows.length) && characters / cells < 300
}

const CODE_LANGUAGE = /(?:^|\s)(?:lang(?:uage)?|highlight(?:-source|-text)?|brush:|sourceCode)[-\s]\s*([\w+#.]+)/
function languageOfCode(pre: Element): string {
  const candidates = [pre.firstElementChild, pre, pre.parentElement, pre.parentElement?.parentElement]
  for (const candidate of candidates) {
    if (!candidate) continue
    const declared = candidate.getAttribute('data-lang') ?? candidate.getAttribute('data-language')
    const named = declared ?? CODE_LANGUAGE.exec(candidate.getAttribute('class') ?? '')?.[1]
    if (named) return clean(named).trim().toLowerCase()
  }
  return ''
}
