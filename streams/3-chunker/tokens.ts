/**
 * Token counts of cl100k_base, the encoding of OpenAI's text-embedding-3 models. Exact for ordinary text at 8 MB/s;
 * bounded for any text: one merge is quadratic in its piece (100,000 letters without a space took 8 s, as many CJK
 * characters 55 s), so pieces are cut at MAX_PIECE characters, which may add one token a cut.
 */
import { clearMergeCache, countTokens as countPieces } from 'gpt-tokenizer/encoding/cl100k_base'

/** A multiple of 3, because the encoding takes digits in threes. Longer words than this are rare in any language. */
const MAX_PIECE = 48
const LONG_RUN = /\S{65,}|\s{65,}/g
/** As the encoding splits: letters with at most one other character before them, or a run of other characters. */
const PIECE = new RegExp(`\\P{L}?\\p{L}{1,${MAX_PIECE}}|\\P{L}{1,${MAX_PIECE}}`, 'gu')

/** `<|endoftext|>` in a page is text like any other; the library would throw. */
const asPlainText = { disallowedSpecial: new Set<string>() }

/** The library caches merged pieces as slices that keep whole pages alive: forget them once a megabyte has passed. */
const CACHE_CHARACTERS = 1_000_000
let counted = 0

/** Tokens of `text`, 0 for an empty one. Lone surrogates count as U+FFFD. */
export function countTokens(text: string): number {
  counted += text.length
  if (counted > CACHE_CHARACTERS) {
    clearMergeCache()
    counted = text.length
  }
  if (!mayHoldLongRun(text)) return text === '' ? 0 : countPieces(text, asPlainText)
  let tokens = 0
  let at = 0
  for (const run of text.matchAll(LONG_RUN)) {
    if (run.index > at) tokens += countPieces(text.slice(at, run.index), asPlainText)
    for (const piece of run[0].match(PIECE) ?? []) tokens += countPieces(piece, asPlainText)
    at = run.index + run[0].length
  }
  return at < text.length ? tokens + countPieces(text.slice(at), asPlainText) : tokens
}

/** Ten times as fast as the pattern, which is then needed for one text in thousands; other spaces count as letters. */
function mayHoldLongRun(text: string): boolean {
  let run = 0
  let inSpace = false
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    const isSpace = code === 32 || (code <= 13 && code >= 9)
    run = isSpace === inSpace ? run + 1 : 1
    inSpace = isSpace
    if (run === 65) return true
  }
  return false
}
