export interface Candidate {
  readonly id: string
  /** The parent, or the child itself where it has none: what is returned. */
  readonly parentKey: string
  /** Cosine similarity to the question. */
  readonly similarity: number
  /** Share of the question's words that the child holds, each weighed by its rarity; 0…1, phrases may lift it above. */
  readonly text: number
  /** The same of the page's title. */
  readonly title: number
}

export interface FusedHit {
  readonly id: string
  readonly parentKey: string
  readonly score: number
}
export function fuse(candidates: readonly Candidate[], k: number): FusedHit[] {
  const parents = new Map<string, FusedHit>()
  const s = candidates.map((c) => ({ ...c, score: c.similarity + c.text + c.title }))
  for (const child of s.sort((a, b) => b.score - a.score))
    if (!parents.has(child.parentKey)) parents.set(child.parentKey, child)
  return [...parents.values()].slice(0, k)
}
