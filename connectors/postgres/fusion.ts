/**
 * Fuses vector and full-text hits. Weighed by score, not by rank: plain reciprocal rank fusion lifts hits@5 and lowers
 * hits@1, because a strong first place counts no more than a weak one.
 */
export interface RankedChild {
  readonly id: string
  /** The parent, or the child itself where it has none: what is returned. */
  readonly parentKey: string
  /** Cosine similarity, or the full-text rank; any scale, greater is better. */
  readonly score: number
}

export interface FusedHit {
  readonly id: string
  readonly parentKey: string
  readonly score: number
}

/** Share of the vector half; the rest is full text. */
const VECTOR_WEIGHT = 0.5

/** @returns the best child of each parent, best first, scores in 0…1. */
export function fuse(vector: readonly RankedChild[], text: readonly RankedChild[], k: number): FusedHit[] {
  const children = new Map<string, { id: string; parentKey: string; score: number }>()
  for (const [hits, weight] of [
    [vector, VECTOR_WEIGHT],
    [text, 1 - VECTOR_WEIGHT],
  ] as const) {
    const best = Math.max(0, ...hits.map(({ score }) => score))
    if (best === 0) continue
    for (const { id, parentKey, score } of hits) {
      const child = children.get(id) ?? { id, parentKey, score: 0 }
      child.score += weight * (Math.max(0, score) / best)
      children.set(id, child)
    }
  }
  const parents = new Map<string, FusedHit>()
  for (const child of children.values()) {
    const best = parents.get(child.parentKey)
    if (!best || child.score > best.score) parents.set(child.parentKey, child)
  }
  return [...parents.values()].sort((a, b) => b.score - a.score || (a.id < b.id ? -1 : 1)).slice(0, k)
}
