/** The smallest parts that stay whole: sentences, list items, table rows, lines of code, short blocks. */
import { characters, clauses, lines, sentences, spaces, words } from './boundaries.ts'
import type { Layout, Span } from './layout.ts'
import { countTokens } from './tokens.ts'

export interface Unit {
  /** `[start, end)` in the layout's text, without white space around (code keeps its indentation). */
  readonly start: number
  readonly end: number
  /** Tokens, with the white space before it. */
  readonly tokens: number
  /** Cost of a cut before this unit, see CUT. */
  readonly cut: number
  /** Headings above it, outermost first; a heading's own text is its path's last. */
  readonly path: readonly string[]
  readonly heading: boolean
  /** The header row of the table that this row continues: repeated if a chunk begins here. */
  readonly header: Unit | null
}

/** In units of "a chunk of size 0", which costs 1; a chunk of half the size aimed at costs ¼. */
const CUT = {
  heading: -0.35,
  /** A heading, and a line that announces what follows, stay with it. */
  afterHeading: 4,
  afterColon: 0.6,
  block: 0,
  item: 0.15,
  nestedItem: 0.5,
  row: 0.2,
  codeParagraph: 0.2,
  codeLine: 0.5,
  indentedLine: 0.7,
  sentence: 0.4,
  line: 0.6,
  clause: 1.2,
  word: 2,
  character: 3,
} as const

/** A path element and a header row longer than this are no help to whoever reads the chunk. */
const MAX_HEADING = 200

type Part = Pick<Unit, 'start' | 'end' | 'cut'> & {
  /** Where the white space before it begins; it is counted with the part, as it will be in the chunk. */
  readonly lead: number
  /** Once counted. */
  readonly tokens?: number
  /** The header row of a table. */
  readonly repeats?: true
}

/** Share of the limit that a header row may take to be repeated, and that the other rows then leave to it. */
const HEADER_SHARE = 1 / 4

/** `limit`: tokens that no unit exceeds, as far as characters can be told apart. */
export function unitsOf({ text, spans }: Layout, limit: number): Unit[] {
  const units: Unit[] = []
  const path: { level: number; text: string }[] = []
  let previous: Span | undefined
  for (const span of spans) {
    if (span.kind === 'HEADING') {
      while (path.length > 0 && (path.at(-1)?.level ?? 0) >= span.level) path.pop()
      path.push({ level: span.level, text: headingText(span.heading ?? text.slice(span.start, span.end)) })
    }
    const titles = path.map((heading) => heading.text)
    let header: Unit | null = null
    for (const part of partsOf(text, span, limit, entryCost(text, previous, span))) {
      const { start, end, cut } = part
      const unit: Unit = {
        start,
        end,
        cut,
        tokens: sizeOf(text, part),
        path: titles,
        heading: span.kind === 'HEADING',
        header,
      }
      units.push(unit)
      if (part.repeats) header = unit
    }
    previous = span
  }
  return units
}

function headingText(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim()
  return line.length <= MAX_HEADING ? line : `${line.slice(0, MAX_HEADING - 1).toWellFormed()}…`
}

function entryCost(text: string, previous: Span | undefined, span: Span): number {
  if (previous?.kind === 'HEADING') return CUT.afterHeading
  if (span.kind === 'HEADING') return CUT.heading
  return previous && /[:：]$/.test(text.slice(previous.start, previous.end)) ? CUT.afterColon : CUT.block
}

function partsOf(text: string, span: Span, limit: number, entry: number): Part[] {
  const whole: Part = { lead: span.start, start: span.start, end: span.end, cut: entry }
  if (span.kind === 'LIST' || span.kind === 'TABLE' || span.kind === 'CODE') {
    const parts = divide(text, whole, lines, (at) => lineCost(text, span, at), true)
    const header = span.kind === 'TABLE' ? headerOf(text, parts, limit * HEADER_SHARE) : undefined
    if (!header) return parts.flatMap((part) => fit(text, part, limit, 0))
    const rows = parts.filter(({ start }) => start >= header.end)
    const room = Math.floor(limit * (1 - HEADER_SHARE))
    // The header keeps at least one row of data.
    const joined = rows.map((row, i) => (i === 0 ? { ...row, cut: CUT.afterHeading } : row))
    return [header, ...joined.flatMap((row) => fit(text, row, room, 0))]
  }
  // A block that fills no third of a chunk is never worth cutting.
  const counted: Part = whole.end - whole.start > limit * 3 ? whole : { ...whole, tokens: sizeOf(text, whole) }
  if (counted.tokens !== undefined && counted.tokens <= limit / 3) return [counted]
  return divide(text, whole, sentences, () => CUT.sentence).flatMap((part) => fit(text, part, limit, 1))
}

/** The first row, with the row of dashes below it in Markdown; undefined: no row follows, or it is too long to repeat. */
function headerOf(text: string, parts: readonly Part[], limit: number): Part | undefined {
  const [first, second] = parts
  if (!first || !second) return undefined
  const ruled = /^[\s|:+-]+$/.test(text.slice(second.start, second.end))
  const header = { ...first, end: ruled ? second.end : first.end, repeats: true as const }
  return sizeOf(text, header) <= limit ? header : undefined
}

function lineCost(text: string, span: Span, at: number): number {
  const indented = /[^\S\n]/.test(text[at] ?? '')
  if (span.kind === 'TABLE') return CUT.row
  if (span.kind === 'LIST') return indented ? CUT.nestedItem : CUT.item
  if (/\n\r?\n$/.test(text.slice(at - 3, at))) return CUT.codeParagraph
  return indented ? CUT.indentedLine : CUT.codeLine
}

/** Ever finer cuts for a part that is too large. Words and characters are taken by the dozen: there may be a million. */
const FINER: readonly { cost: number; starts: (text: string, dozen: number) => number[] }[] = [
  { cost: CUT.sentence, starts: sentences },
  { cost: CUT.line, starts: lines },
  { cost: CUT.clause, starts: clauses },
  { cost: CUT.word, starts: (text, dozen) => thinned(spaces(text), dozen) },
  { cost: CUT.word, starts: (text, dozen) => thinned(words(text), dozen) },
  { cost: CUT.character, starts: characters },
]

function fit(text: string, part: Part, limit: number, finer: number): Part[] {
  const level = FINER[finer]
  const length = part.end - part.lead
  // No character takes more than three tokens, so a part this short fits without being counted.
  if (!level || length * 3 <= limit) return [part]
  const counted = length > limit * 8 ? part : { ...part, tokens: sizeOf(text, part) }
  if (counted.tokens !== undefined && counted.tokens <= limit) return [counted]
  const dozen = Math.max(1, Math.floor(limit / 4))
  return divide(
    text,
    part,
    (slice) => level.starts(slice, dozen),
    () => level.cost,
  ).flatMap((smaller) => fit(text, smaller, limit, finer + 1))
}

const sizeOf = (text: string, part: Part): number => part.tokens ?? countTokens(text.slice(part.lead, part.end))

/** Drops starts that follow the one before by less than `least` characters. */
function thinned(starts: readonly number[], least: number): number[] {
  let last = 0
  return starts.filter((at) => at - last >= least && ((last = at), true))
}

/** Cuts a part; white space at the cuts belongs to nobody, except that `verbatim` keeps a line's indentation. */
function divide(
  text: string,
  part: Part,
  starts: (slice: string) => number[],
  cost: (at: number) => number,
  verbatim = false,
): Part[] {
  const edges = [part.start, ...starts(text.slice(part.start, part.end)).map((at) => part.start + at), part.end]
  const parts: Part[] = []
  let { lead } = part
  for (let i = 0; i + 1 < edges.length; i++) {
    const from = edges[i] ?? 0
    const slice = text.slice(from, edges[i + 1])
    const end = from + slice.trimEnd().length
    const start = verbatim ? from : from + (slice.length - slice.trimStart().length)
    if (end <= start) continue
    parts.push({ lead, start, end, cut: parts.length === 0 ? part.cut : cost(from) })
    lead = end
  }
  return parts
}
