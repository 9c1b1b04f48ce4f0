/** Markdown (CommonMark's blocks, GFM's tables, front matter) as blocks; inline marks stay as written, links lose their targets. */
import type { Block } from '../../schemas/generated/types.ts'
import { atxHeading, isRule, isTableRuler } from '../markdown-lines.ts'
import { oneLine, verbatim } from './text.ts'

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^\s`{]*)/
/** An item's mark and the blanks around it; its text is the rest of the line. */
const ITEM = /^([ \t]*)(?:[-*+]|(\d{1,9})[.)])[ \t]+/
const QUOTE = /^ {0,3}> ?/
/** Quotes in quotes are read this deep, deeper ones as one: each level reads the text again and takes stack. */
const MAX_QUOTES = 16

export interface MarkdownPage {
  readonly title: string
  readonly language: string
  readonly blocks: Block[]
}

export function readMarkdown(source: string): MarkdownPage {
  const { meta, body } = frontMatter(source)
  const blocks = readBlocks(body.split('\n'))
  const headline = blocks.find((block) => block.kind === 'HEADING')
  const title = meta.get('title') ?? headline?.text ?? ''
  return { title: oneLine(title), language: meta.get('lang') ?? meta.get('language') ?? '', blocks }
}

function frontMatter(source: string): { meta: Map<string, string>; body: string } {
  const meta = new Map<string, string>()
  const found = /^---[ \t]*\n([\s\S]{0,10000}?)\n(?:---|\.\.\.)[ \t]*(?:\n|$)/.exec(source)
  if (!found) return { meta, body: source }
  for (const line of (found[1] ?? '').split('\n')) {
    const [, name, value] = /^(\w+)[ \t]*:(.*)$/.exec(line) ?? []
    const bare = value?.trim()
    if (name && bare) meta.set(name.toLowerCase(), bare.replace(/^(["'])(.*)\1$/, '$2'))
  }
  return { meta, body: source.slice(found[0].length) }
}

/** One line decides what starts; each reader takes the lines that are its own and returns where the next block starts. */
function readBlocks(lines: readonly string[], quotes = 0): Block[] {
  const blocks: Block[] = []
  const push = (kind: Block['kind'], text: string, level = 0, lang = '') => {
    if (text !== '') blocks.push({ kind, text, level, lang })
  }
  const at = (index: number) => lines[index] ?? ''
  let index = 0
  while (index < lines.length) {
    const line = at(index)
    const fence = FENCE.exec(line)
    const heading = atxHeading(line)
    if (line.trim() === '' || isRule(line)) index++
    else if (fence) {
      const end = endOfFence(lines, index, fence[1] ?? '')
      push('CODE', verbatim(lines.slice(index + 1, end).join('\n')), 0, (fence[2] ?? '').toLowerCase())
      index = end + 1
    } else if (/^(?: {4}|\t)/.test(line)) {
      const end = takeWhile(lines, index, (next) => /^(?: {4}|\t)/.test(next) || next.trim() === '')
      push(
        'CODE',
        verbatim(
          lines
            .slice(index, end)
            .map((code) => code.replace(/^(?: {4}|\t)/, ''))
            .join('\n'),
        ),
      )
      index = end
    } else if (heading) {
      push('HEADING', inline(heading.text), heading.level)
      index++
    } else if (line.includes('|') && isTableRuler(at(index + 1))) {
      const end = takeWhile(lines, index + 2, (next) => next.includes('|') && next.trim() !== '')
      push('TABLE', [line, ...lines.slice(index + 2, end)].map(row).join('\n'))
      index = end
    } else if (QUOTE.test(line)) {
      const end = takeWhile(lines, index, (next) => QUOTE.test(next) || startsNothing(next))
      const mark = quotes < MAX_QUOTES ? QUOTE : /^[ >]+/
      const inner = readBlocks(
        lines.slice(index, end).map((quoted) => quoted.replace(mark, '')),
        quotes + 1,
      )
      push('QUOTE', inner.map((block) => block.text).join('\n'))
      index = end
    } else if (ITEM.test(line)) {
      const end = endOfList(lines, index)
      push('LIST', list(lines.slice(index, end)))
      index = end
    } else {
      const end = takeWhile(lines, index + 1, startsNothing)
      const underline = /^ {0,3}(=+|-+)[ \t]*$/.exec(at(end))
      const text = inline(lines.slice(index, end).join('\n'))
      if (underline) push('HEADING', text, underline[1]?.startsWith('=') ? 1 : 2)
      else push('PARAGRAPH', text)
      index = underline ? end + 1 : end
    }
  }
  return blocks
}

function takeWhile(lines: readonly string[], start: number, test: (line: string) => boolean): number {
  let index = start
  while (index < lines.length && test(lines[index] ?? '')) index++
  return index
}

/** A line that goes on with the paragraph before it. */
const startsNothing = (line: string) =>
  line.trim() !== '' &&
  !FENCE.test(line) &&
  !atxHeading(line) &&
  !QUOTE.test(line) &&
  !ITEM.test(line) &&
  !isRule(line) &&
  !/^ {0,3}=+[ \t]*$/.test(line)

function endOfFence(lines: readonly string[], start: number, fence: string): number {
  const closing = new RegExp(`^ {0,3}${fence[0] === '~' ? '~' : '`'}{${fence.length},}[ \\t]*$`)
  return takeWhile(lines, start + 1, (line) => !closing.test(line))
}

/**
 * A list ends before a line that is neither an item nor indented, once an empty line has passed, and before an item of
 * the other sort (numbered or not) that is not nested.
 */
function endOfList(lines: readonly string[], start: number): number {
  const first = ITEM.exec(lines[start] ?? '')
  const otherSort = (line: string) => {
    const item = ITEM.exec(line)
    const nested = (item?.[1]?.length ?? 0) > (first?.[1]?.length ?? 0)
    return item !== null && !nested && (item[2] === undefined) !== (first?.[2] === undefined)
  }
  let gap = false
  return takeWhile(lines, start, (line) => {
    if (otherSort(line)) return false
    const empty = line.trim() === ''
    const inside = empty || ITEM.test(line) || /^[ \t]/.test(line) || (!gap && startsNothing(line))
    gap = empty
    return inside && !(isRule(line) && !ITEM.test(line))
  })
}

function list(lines: readonly string[]): string {
  const items: string[] = []
  const indents: number[] = []
  for (const line of lines) {
    const item = ITEM.exec(line)
    if (!item) {
      const text = inline(line)
      if (text !== '') items.push(`${items.pop() ?? ''} ${text}`)
      continue
    }
    const indent = (item[1] ?? '').replaceAll('\t', '    ').length
    while (indents.length > 0 && indent <= (indents.at(-1) ?? 0) - 1) indents.pop()
    if (indents.length === 0 || indent > (indents.at(-1) ?? 0) + 1) indents.push(indent)
    const marker = item[2] === undefined ? '- ' : `${item[2]}. `
    items.push(
      '  '.repeat(indents.length - 1) + marker + inline(line.slice(item[0].length).replace(/^\[[ xX]\][ \t]+/, '')),
    )
  }
  return items.join('\n')
}

const row = (line: string): string =>
  line
    .trim()
    .replace(/^\||\|$/g, '')
    .split(/(?<!\\)\|/)
    .map((cell) => inline(cell.replaceAll('\\|', '|')))
    .join(' | ')

/** Targets of links and images go, their texts stay; emphasis marks go; html tags go. */
const inline = (text: string): string =>
  oneLine(
    withoutComments(text)
      .replace(/!?\[([^[\]]*)\]\((?:[^()\s]|\([^()\s]*\))*(?:\s+"[^"]*")?\)/g, '$1')
      .replace(/!?\[([^[\]]+)\]\[[^[\]]*\]/g, '$1')
      .replace(/<(https?:[^<>\s]+)>/g, '$1')
      .replace(/<\/?[a-z][^<>]*>/gi, '')
      .replace(/(\*\*|__)(?=\S)(.+?)\1/g, '$2')
      .replace(/(?<![\w*])[*_](?=\S)([^*_]+)[*_](?![\w*])/g, '$1')
      .replace(/(?<!`)`+([^`]+)`+/g, '$1')
      .replace(/\\([\\`*_{}[\]()#+\-.!|<>~])/g, '$1'),
  )

/** A loop, because a pattern looks to the end of the text again for every comment that is left open. */
function withoutComments(text: string): string {
  const parts: string[] = []
  let from = 0
  for (;;) {
    const open = text.indexOf('<!--', from)
    const close = open < 0 ? -1 : text.indexOf('-->', open + 4)
    if (close < 0) return parts.join('') + text.slice(from)
    parts.push(text.slice(from, open))
    from = close + 3
  }
}
