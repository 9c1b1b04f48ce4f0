/**
 * What one line of Markdown is, for the extractor and the chunker alike. Lines are written by strangers and may be
 * megabytes long: every test takes linear time, and none is a repeated group, which overflows the stack of regular
 * expressions at about a million repetitions.
 */

export interface HeadingLine {
  /** 1 to 6. */
  readonly level: number
  /** Trimmed, inline marks as written. */
  readonly text: string
}

/** `## Title ##`: the closing marks count only after white space. undefined: no heading. */
export function atxHeading(line: string): HeadingLine | undefined {
  const marks = /^ {0,3}(#{1,6})(?![^ \t])/.exec(line)
  if (!marks) return undefined
  const text = line.slice(marks[0].length).trim()
  let end = text.length
  while (text[end - 1] === '#') end--
  const closed = end < text.length && /\s/.test(text[end - 1] ?? '')
  return { level: marks[1]?.length ?? 1, text: closed ? text.slice(0, end).trimEnd() : text }
}

const RULER_CELL = /^[ \t]*:?-+:?[ \t]*$/

/** The row of dashes below a table's header: `|---|:-:|`, the outer bars optional. */
export function isTableRuler(line: string): boolean {
  const inner = line.replace(/^ {0,3}\|/, '').trimEnd()
  return (inner.endsWith('|') ? inner.slice(0, -1) : inner).split('|').every((cell) => RULER_CELL.test(cell))
}

/** A thematic break: three or more of one of `-*_`, and nothing else but blanks. */
export function isRule(line: string): boolean {
  const mark = /^ {0,3}([-*_])/.exec(line)?.[1]
  if (mark === undefined) return false
  const marks = line.replace(/[ \t]/g, '')
  return marks.length >= 3 && marks.replaceAll(mark, '') === ''
}
