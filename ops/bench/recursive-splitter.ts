/** The usual recursive splitter: coarse separators first, pieces packed greedily up to `limit` tokens, no overlap. */
import { countTokens } from '../../streams/3-chunker/tokens.ts'

interface Range {
  readonly start: number
  readonly end: number
}

const SEPARATORS = ['\n\n', '\n', '.', '?', '!', ' ', '']

export const recursiveSplit =
  (limit: number) =>
  (text: string): Range[] =>
    split(text, { start: 0, end: text.length }, limit, 0).filter(
      ({ start, end }) => text.slice(start, end).trim() !== '',
    )

function split(text: string, range: Range, limit: number, level: number): Range[] {
  const separator = SEPARATORS[level]
  if (separator === undefined || countTokens(text.slice(range.start, range.end)) <= limit) return [range]
  const packed: Range[] = []
  let open: Range | undefined
  let openTokens = 0
  for (const piece of pieces(text, range, separator)) {
    const tokens = countTokens(text.slice(piece.start, piece.end))
    if (open && openTokens + tokens <= limit) {
      open = { start: open.start, end: piece.end }
      openTokens += tokens
    } else {
      if (open) packed.push(open)
      open = piece
      openTokens = tokens
    }
  }
  if (open) packed.push(open)
  return packed.flatMap((part) => split(text, part, limit, level + 1))
}

/** The separator stays at the head of the piece it precedes. */
function* pieces(text: string, { start, end }: Range, separator: string): Generator<Range> {
  let from = start
  while (from < end) {
    const next = separator === '' ? from + 1 : text.indexOf(separator, from + 1)
    const to = next === -1 || next > end ? end : next
    yield { start: from, end: to }
    from = to
  }
}
