/**
 * Blocks of a text or Markdown file as ranges of the file itself, markup included, so that every chunk is a slice of
 * it. The ranges cover all text but the white space between them.
 */
import type { BlockKind } from '../../schemas/generated/types.ts'
import { type HeadingLine, atxHeading, isTableRuler } from '../markdown-lines.ts'
import type { Layout, Span } from './layout.ts'

interface Line {
  readonly start: number
  /** Without the line break. */
  readonly text: string
}

/** A line this long is a paragraph by itself; shorter ones are wrapped lines of one. */
const LONG_LINE = 160

const FRONT_MATTER = /^---\s*$/
const FENCE = /^ {0,3}(`{3,}|~{3,})/
const UNDERLINE = /^ {0,3}(?:=+|-{2,})[ \t]*$/
const ITEM = /^\s*(?:[-*+•]|\d{1,9}[.)])\s+\S/
const QUOTE = /^ {0,3}>/
const INDENTED = /^(?: {4}|\t)\s*\S/

type Format = 'markdown' | 'text'

export function sourceLayout(text: string, format: Format): Layout {
  const lines = linesOf(text)
  const spans: Span[] = []
  let i = 0
  while (i < lines.length) {
    const block = isBlank(lines[i]) ? undefined : blockAt(lines, i, format)
    if (block) spans.push(block.span)
    i = block ? block.next : i + 1
  }
  return { text, spans }
}

function linesOf(text: string): Line[] {
  let start = 0
  return text.split('\n').map((raw) => {
    const line = { start, text: raw.replace(/\r$/, '') }
    start += raw.length + 1
    return line
  })
}

const isBlank = (line: Line | undefined) => line === undefined || line.text.trim() === ''

function blockAt(lines: readonly Line[], at: number, format: Format): { span: Span; next: number } {
  const block = (kind: BlockKind, next: number, level = 0, heading?: string) => {
    let last = next - 1
    while (last > at && isBlank(lines[last])) last -= 1
    const from = lines[at] as Line
    const lead = kind === 'CODE' ? 0 : from.text.length - from.text.trimStart().length
    const end = (lines[last] as Line).start + (lines[last] as Line).text.trimEnd().length
    return { span: { kind, level, start: from.start + lead, end, ...(heading && { heading }) }, next }
  }
  const text = lines[at]?.text ?? ''
  const wiki = wikiHeading(text)
  if (wiki) return block('HEADING', at + 1, wiki.level, wiki.text)
  if (format === 'markdown') {
    const matter =
      at === 0 && FRONT_MATTER.test(text) ? after(lines, 1, (line) => FRONT_MATTER.test(line)) : lines.length
    if (matter < lines.length) return block('CODE', matter)
    const fence = FENCE.exec(text)?.[1]
    if (fence)
      return block(
        'CODE',
        after(lines, at + 1, (line) => isClosing(line, fence)),
      )
    const atx = atxHeading(text)
    if (atx) return block('HEADING', at + 1, atx.level, plain(atx.text))
    if (text.includes('|') && isRuler(lines[at + 1]))
      return block(
        'TABLE',
        while_(lines, at + 2, (l) => l.includes('|')),
      )
    if (QUOTE.test(text))
      return block(
        'QUOTE',
        while_(lines, at + 1, (line) => line.trim() !== ''),
      )
    if (INDENTED.test(text))
      return block(
        'CODE',
        while_(lines, at + 1, (l) => l.trim() === '' || INDENTED.test(l)),
      )
  }
  const underline = lines[at + 1]?.text ?? ''
  if (UNDERLINE.test(underline) && text.length <= LONG_LINE)
    return block('HEADING', at + 2, underline.includes('=') ? 1 : 2, plain(text))
  if (ITEM.test(text)) return block('LIST', endOfList(lines, at + 1))
  return block('PARAGRAPH', endOfParagraph(lines, at, format))
}

/** MediaWiki's, also with spaces between: `== Title ==`, `= = Title = =`. Both ends are looked at alone. */
function wikiHeading(line: string): HeadingLine | undefined {
  const bare = line.trim()
  const open = /^((?:= ?){0,5}=) +(?![ =])/.exec(bare)
  if (!open) return undefined
  const rest = bare.slice(open[0].length)
  const close = / ((?:= ?){0,5}=)$/.exec(rest)
  const level = count(open[1])
  return close && count(close[1]) === level ? { level, text: rest.slice(0, close.index).trimEnd() } : undefined
}

const count = (marks: string | undefined) => marks?.replaceAll(' ', '').length ?? 0
const isRuler = (line: Line | undefined) => line !== undefined && isTableRuler(line.text)
const isClosing = (line: string, fence: string) =>
  line.trim().startsWith(fence) && line.trim().replaceAll(fence[0] ?? '', '') === ''

/** Emphasis, code marks and link targets are no part of a heading's words. */
const plain = (markdown: string) =>
  markdown
    .replace(/!?\[([^[\]]*)\]\((?:[^()]|\([^()]*\))*\)/g, '$1')
    .replace(/[*`]+|(?<!\w)_+|(?<!_)_+(?!\w)/g, '')
    .trim()

/** Index after the first line from `at` on that satisfies; the file's end closes what is open. */
function after(lines: readonly Line[], at: number, satisfies: (line: string) => boolean): number {
  let i = at
  while (i < lines.length && !satisfies(lines[i]?.text ?? '')) i += 1
  return Math.min(lines.length, i + 1)
}

function while_(lines: readonly Line[], at: number, satisfies: (line: string) => boolean): number {
  let i = at
  while (i < lines.length && satisfies(lines[i]?.text ?? '')) i += 1
  return i
}

/** Items, their continuation lines, and blank lines that an item or an indented line follows. */
function endOfList(lines: readonly Line[], at: number): number {
  const continues = (line: Line | undefined) => line !== undefined && (ITEM.test(line.text) || /^\s+\S/.test(line.text))
  let i = at
  while (i < lines.length) {
    if (isBlank(lines[i]) ? !continues(lines[i + 1]) : startsBlock(lines, i, 'markdown')) break
    i += 1
  }
  return i
}

function endOfParagraph(lines: readonly Line[], at: number, format: Format): number {
  let i = at + 1
  while (i < lines.length && !isBlank(lines[i]) && !startsBlock(lines, i, format)) {
    if (Math.max(lines[i - 1]?.text.length ?? 0, lines[i]?.text.length ?? 0) > LONG_LINE) break
    if (ITEM.test(lines[i]?.text ?? '')) break
    i += 1
  }
  return i
}

/** A line that ends the block before it without an empty line between. */
function startsBlock(lines: readonly Line[], i: number, format: Format): boolean {
  const text = lines[i]?.text ?? ''
  if (wikiHeading(text)) return true
  if (format === 'text') return false
  return (
    FENCE.test(text) ||
    atxHeading(text) !== undefined ||
    QUOTE.test(text) ||
    (text.includes('|') && isRuler(lines[i + 1]))
  )
}
