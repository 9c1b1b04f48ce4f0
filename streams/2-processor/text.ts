/** Normalisation that every character of a block goes through, so that equal content has equal bytes. */

/**
 * Marks on one character beyond these go, as in Unicode's stream-safe text format: sorting them takes quadratic time
 * (200,000 took 13 s), and no language puts more than a dozen.
 */
const MARKS = /(\p{M}{30})\p{M}+/gu

/** Well-formed UTF-16, NFC, no NUL and no other control characters than tab and line feed; code keeps its spaces. */
export const clean = (text: string): string =>
  text
    .replace(/\r\n?/g, '\n')

    .replace(/[\0-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\ufeff\u00ad]/g, '')
    .toWellFormed()
    .replace(MARKS, '$1')
    .normalize('NFC')

/** One line: runs of white space become one space, ends trimmed. */
export const oneLine = (text: string): string => clean(text).replace(/\s+/g, ' ').trim()

/** Lines are kept, white space inside each collapses, empty lines go. */
export const lines = (text: string): string =>
  clean(text)
    .split('\n')
    .map((line) => line.replace(/\s+/g, ' ').trim())
    .filter(Boolean)
    .join('\n')

/** Code: verbatim but for blank lines around it and white space at the ends of lines. */
export function verbatim(text: string): string {
  const all = clean(text)
    .split('\n')
    .map((line) => line.trimEnd())
  const first = all.findIndex(Boolean)
  return first < 0 ? '' : all.slice(first, all.findLastIndex(Boolean) + 1).join('\n')
}

const WIDE = /[\u0e00-\u0eff\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]/g

/** How much a text says, in characters of a Latin script: a character of CJK or Thai counts as three. */
export function mass(text: string): number {
  const wide = text.match(WIDE)?.length ?? 0
  return text.length + 2 * wide
}
