/** Where a text may be cut: sentences, lines, clauses, words. All return ascending offsets above 0 where a part begins. */

const sentenceSegmenter = new Intl.Segmenter('und', { granularity: 'sentence' })
const wordSegmenter = new Intl.Segmenter('und', { granularity: 'word' })

/** Intl.Segmenter takes time quadratic in its text (0.6 MB/s at 120 kB, 30 MB/s below 4 kB), so it sees a window. */
const WINDOW = 4096

/** A full stop after these does not end a sentence, though a capital follows: titles, initials, ordinals. */
const ABBREVIATION =
  /(?:^|[\s("'“‘«[])(?:\p{Lu}|\d{1,2}|(?:\p{L}\.){1,4}\p{L}|Mrs?|Ms|Dr|Prof|Sr|Jr|St|Mt|vs|[Nn]os?|Nr|[Ff]igs?|Eq|[Vv]ol|[Cc]h|pp?|cf|al|ca|approx|bzw|Abs|Art|art|Abb|av|Sra?|Mme|Mlle)\.\s*$/u

export function sentences(text: string): number[] {
  // A line break inside a paragraph is a wrapped line and not an end, as the segmenter would have it.
  const starts = windowed(sentenceSegmenter, text.replaceAll('\n', ' '))
  return starts.filter((at) => !ABBREVIATION.test(text.slice(Math.max(0, at - 16), at)))
}

export const words = (text: string): number[] => windowed(wordSegmenter, text)

export const lines = (text: string): number[] => after(text, /(?:\r?\n)+/g)
export const spaces = (text: string): number[] => after(text, /\s+/g)
/** After a comma, colon, semicolon or dash of any script; inside numbers (1,000) and names (a:b) it is none. */
export const clauses = (text: string): number[] => after(text, /[,;:،؛–—](?=\s)\s*|[，；：、。！？]+\s*/g)

/** Every `size` characters, between surrogate pairs: the last resort. */
export function characters(text: string, size: number): number[] {
  const starts: number[] = []
  for (let at = size; at < text.length; at += size) {
    if ((text.charCodeAt(at) & 0xfc00) === 0xdc00) at += 1
    if (at < text.length) starts.push(at)
  }
  return starts
}

function after(text: string, pattern: RegExp): number[] {
  const starts: number[] = []
  for (const match of text.matchAll(pattern)) {
    const at = match.index + match[0].length
    if (match.index > 0 && at < text.length) starts.push(at)
  }
  return starts
}

/** Segment starts of a long text; each window begins at the last segment of the one before, which it may have cut. */
function windowed(segmenter: Intl.Segmenter, text: string): number[] {
  const starts: number[] = []
  let from = 0
  while (from < text.length) {
    let to = Math.min(text.length, from + WINDOW)
    if (to < text.length && (text.charCodeAt(to) & 0xfc00) === 0xdc00) to += 1
    let last = from
    for (const { index } of segmenter.segment(text.slice(from, to))) {
      if (index === 0) continue
      last = from + index
      starts.push(last)
    }
    from = to < text.length && last > from ? last : to
  }
  return starts
}
