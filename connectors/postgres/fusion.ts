/**
 * Fuses vector and full-text scores. Weighed by score, not by rank: plain reciprocal rank fusion lifts hits@5 and lowers
 * hits@1, because a strong first place counts no more than a weak one.
 */
export interface Candidate {
  readonly id: string
  /** The parent, or the child itself where it has none: what is returned. */
  readonly parentKey: string
  /** Cosine similarity to the question; null: another model's vector, which cannot be compared. */
  readonly similarity: number | null
  /** How much of the question the child, its passage and its page hold, words weighed by rarity; 0…1, phrases lift it above. */
  readonly text: number
  /** The same of the page's title alone. */
  readonly title: number
  /** What made the embedding. */
  readonly model: string
}

export interface FusedHit {
  /** Of the parent's best child. */
  readonly id: string
  readonly parentKey: string
  readonly score: number
}

/**
 * Full text's share; the rest is the vectors'. Two halves that know different things share evenly: with a small semantic
 * model 0.4 to 0.55 were alike, 0.8 lost what the model knows. Vectors of hashed words know the same as full text and not
 * how rare a word is: from 0.8 on they help and do not harm.
 */
const TEXT_SHARE = { semantic: 0.5, lexical: 0.85 } as const
const LEXICAL_MODEL = /^sluice-hash-/
/** A title is short and names its page's subject; more, and pages named after a common word win. */
const TITLE_SHARE = 0.2

/** @returns the best child of each parent, best first, scores in 0…1. */
export function fuse(candidates: readonly Candidate[], k: number): FusedHit[] {
  const isLexical = candidates.some(({ model }) => LEXICAL_MODEL.test(model))
  const textShare = isLexical ? TEXT_SHARE.lexical : TEXT_SHARE.semantic
  const wordsOf = ({ text, title }: Candidate) => text + TITLE_SHARE * title
  const similarities = candidates.flatMap(({ similarity }) => similarity ?? [])
  // Even a stranger has some similarity, more or less of it by the model: what tells is the lead over the common one.
  const near = scale(median(similarities), Math.max(...similarities))
  const words = scale(0, Math.max(...candidates.map(wordsOf)))
  const best = new Map<string, Scored>()
  for (const candidate of candidates) {
    const score = (1 - textShare) * near(candidate.similarity ?? -1) + textShare * words(wordsOf(candidate))
    const scored = { ...candidate, score }
    const known = best.get(candidate.parentKey)
    if (!known || compare(scored, known) < 0) best.set(candidate.parentKey, scored)
  }
  const ordered = [...best.values()].sort(compare).slice(0, k)
  return ordered.map(({ id, parentKey, score }) => ({ id, parentKey, score }))
}

interface Scored extends Candidate {
  readonly score: number
}

/** Best first. Below the median similarity counts only here; ids last, so that the same question has the same answer. */
const compare = (a: Scored, b: Scored): number =>
  b.score - a.score || (b.similarity ?? -1) - (a.similarity ?? -1) || (a.id < b.id ? -1 : 1)

/** Maps low…high to 0…1, and what is below to 0. */
const scale =
  (low: number, high: number) =>
  (value: number): number =>
    high > low ? Math.max(0, value - low) / (high - low) : 0

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0
