/**
 * Two logistic regressions over named features: the second sees what the first thought of the neighbourhood. Boosted trees
 * over the same features (120 trees of 12 leaves) came out within .005 F1 on held-out pages and cannot be read.
 */
import { contextOf } from './context.ts'
import type { Features } from './features.ts'
import type { Segment } from './segments.ts'
import { weights } from './weights.ts'

export type Weights = Readonly<Record<string, number>>

/** Probability of one segment; a feature without a weight counts for nothing. */
export function logistic(features: Features, model: Weights): number {
  let sum = model.bias ?? 0
  for (const name in features) sum += (features[name] ?? 0) * (model[name] ?? 0)
  return 1 / (1 + Math.exp(-sum))
}

/** Probability that each segment is main content. */
export function probabilitiesOf(segments: readonly Segment[], features: readonly Features[]): number[] {
  const first = features.map((values) => logistic(values, weights.first))
  return contextOf(segments, first).map((context, index) =>
    logistic({ ...features[index], ...context }, weights.second),
  )
}
