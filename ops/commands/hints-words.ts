/** A word that is not one of those there are: which was meant. */
import { closestMatch } from 'leven'

/** Two edits make another word of five letters; of two letters, one edit leaves nothing in common. */
const maxEdits = (word: string) => Math.min(3, Math.floor(word.length / 2))

/** `Did you mean chunker? ` for `chunkr`; empty when nothing is near. Ready to stand before a list of the words. */
export function didYouMean(word: string, words: readonly string[]): string {
  const meant = closestMatch(word.toLowerCase(), words, { maxDistance: maxEdits(word) })
  return meant === undefined ? '' : `Did you mean ${meant}? `
}
