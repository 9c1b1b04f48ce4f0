/** Blocks laid out as one text, so that everything after works on offsets and loses nothing. */
import type { Block, BlockKind } from '../../schemas/generated/types.ts'

/** A block as a range `[start, end)` of UTF-16 offsets into a text. */
export interface Span {
  readonly kind: BlockKind
  /** 1 to 6 for a heading, else 0. */
  readonly level: number
  readonly start: number
  readonly end: number
  /** A heading's own words, where the range holds markup too. */
  readonly heading?: string
}

export interface Layout {
  readonly text: string
  readonly spans: readonly Span[]
}

/** What Postgres stores and a hash can tell apart: well-formed, NFC, without NUL. */
export const storable = (text: string): string => text.toWellFormed().normalize('NFC').replaceAll('\0', '')

/** Blocks one below the other, an empty line between them; blocks without text are left out. */
export function layOut(blocks: readonly Block[]): Layout {
  const parts: string[] = []
  const spans: Span[] = []
  let start = 0
  for (const block of blocks) {
    const text = trim(storable(block.text), block.kind)
    if (text === '') continue
    parts.push(text)
    spans.push({ kind: block.kind, level: block.level, start, end: start + text.length })
    start += text.length + 2
  }
  return { text: parts.join('\n\n'), spans }
}

/** Code keeps the indentation of its first line. */
function trim(text: string, kind: BlockKind): string {
  if (kind !== 'CODE') return text.trim()
  const first = text.search(/\S/)
  return first < 0 ? '' : text.slice(text.lastIndexOf('\n', first) + 1).trimEnd()
}
