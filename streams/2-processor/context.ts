/** Second look: a segment next to content, or in a box full of content, is more likely content itself. */
import { type Features, levels } from './features.ts'
import type { Box, Segment } from './segments.ts'

/** Running sums, so that the mean over any window costs two subtractions. */
function windows(segments: readonly Segment[], values: readonly number[]) {
  const weight = [0]
  const sum = [0]
  segments.forEach(({ mass }, index) => {
    weight.push((weight[index] ?? 0) + mass)
    sum.push((sum[index] ?? 0) + mass * (values[index] ?? 0))
  })
  /** Mean by mass of `values` over [from, to), both clipped. */
  return (from: number, to: number): number => {
    const start = Math.max(0, from)
    const end = Math.min(segments.length, to)
    if (start >= end) return 0
    const total = (weight[end] ?? 0) - (weight[start] ?? 0)
    return total > 0 ? ((sum[end] ?? 0) - (sum[start] ?? 0)) / total : 0
  }
}

/** First-pass probabilities as features of the second pass, one record per segment. */
export function contextOf(segments: readonly Segment[], probabilities: readonly number[]): Features[] {
  const mean = windows(segments, probabilities)
  const boxMean = meansOfBoxes(segments, probabilities)
  const sections = meansOfSections(segments, probabilities)
  const sure = segments.map(({ mass }, index) => mass > 100 && (probabilities[index] ?? 0) > 0.6)
  const first = sure.indexOf(true)
  const last = sure.lastIndexOf(true)
  return segments.map((segment, index) => {
    const own = probabilities[index] ?? 0
    const features: Features = {
      'p:own': Math.log((own + 0.01) / (1.01 - own)),
      'p:previous': mean(index - 1, index),
      'p:next': mean(index + 1, index + 2),
      'p:before': mean(index - 3, index),
      'p:after': mean(index + 1, index + 4),
      'p:around': mean(index - 8, index + 9),
      'p:page': mean(0, segments.length),
      'p:section': sections[index] ?? 0,
      'p:beforeFirst': first >= 0 && index < first ? 1 : 0,
      'p:afterLast': last >= 0 && index > last ? 1 : 0,
    }
    levels(segment.box).forEach((box, level) => {
      features[`p:level${level}`] = boxMean(box)
    })
    return features
  })
}

function meansOfBoxes(segments: readonly Segment[], probabilities: readonly number[]) {
  const sums = new Map<Box, number>()
  segments.forEach((segment, index) => {
    const sum = segment.mass * (probabilities[index] ?? 0)
    for (let box: Box | null = segment.box; box; box = box.parent) sums.set(box, (sums.get(box) ?? 0) + sum)
  })
  return (box: Box): number => (box.mass > 0 ? (sums.get(box) ?? 0) / box.mass : 0)
}

/** For a heading, the mean of what stands under it until the next heading; else 0. */
function meansOfSections(segments: readonly Segment[], probabilities: readonly number[]): number[] {
  const means = new Array<number>(segments.length).fill(0)
  let sum = 0
  let weight = 0
  for (let index = segments.length - 1; index >= 0; index--) {
    const segment = segments[index]
    if (segment?.kind === 'HEADING') {
      means[index] = weight > 0 ? sum / weight : 0
      sum = weight = 0
    } else if (segment) {
      sum += segment.mass * (probabilities[index] ?? 0)
      weight += segment.mass
    }
  }
  return means
}
