/** The decision what stays: the model's, with two rules for pages unlike those it learned from. */
import { probabilitiesOf } from './model.ts'
import type { Page } from './page.ts'
import type { Segment } from './segments.ts'

/** Best of .35–.55 on the pages for tuning; F1 changes by less than .005 between .4 and .5. */
const THRESHOLD = 0.45
/** Pages below this mass (a short text) are too small for statistics. */
const SMALL_PAGE = 1500

/** The segments to keep, in document order; none if the page holds nothing but boilerplate. */
export function mainContent({ segments, features }: Page): Segment[] {
  const probabilities = probabilitiesOf(segments, features)
  const total = segments.reduce((sum, { mass }) => sum + mass, 0)
  const kept = segments.map((_, index) => (probabilities[index] ?? 0) >= THRESHOLD)
  const evident = segments.map((segment, index) => isEvident(segment, features[index] ?? {}))
  const chosen = (flags: readonly boolean[]) => segments.filter((_, index) => flags[index])
  if (total < SMALL_PAGE) return worthKeeping(chosen(kept.map((flag, index) => flag || evident[index] === true)))
  const found = worthKeeping(chosen(withCode(segments, kept)))
  return found.length > 0 ? found : worthKeeping(chosen(evident))
}

/** Code stays with the text it stands in: as prose it would look like noise, to any statistics. */
function withCode(segments: readonly Segment[], kept: readonly boolean[]): boolean[] {
  const result = [...kept]
  const isCode = (index: number) => segments[index]?.kind === 'CODE'
  segments.forEach((_, index) => {
    if (!isCode(index) || result[index]) return
    let next = index + 1
    while (isCode(next)) next++
    result[index] = result[index - 1] === true || result[next] === true
  })
  return result
}

/** By markup alone: text outside navigation and the page's frame, and not a link. */
function isEvident(segment: Segment, features: Readonly<Record<string, number>>): boolean {
  const frame = FRAME.some((name) => features[name] === 1)
  if (frame && features.h1 !== 1) return false
  if ((features.links ?? 0) > 0.5 || features.copyright === 1) return false
  return segment.kind !== 'PARAGRAPH' || features.sentence === 1 || segment.mass > 60 || features.paragraph === 1
}
const FRAME = ['zone:nav', 'zone:header', 'zone:footer', 'zone:aside', 'zone:dialog', 'zone:button'].concat(
  ['navigation', 'footer', 'consent', 'advert', 'social'].map((hint) => `hint:${hint}`),
)

/** Headings with nothing under them are no content. */
const worthKeeping = (segments: Segment[]): Segment[] =>
  segments.some(({ kind }) => kind !== 'HEADING') ? segments : []
