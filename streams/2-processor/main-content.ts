/** The decision what stays: the model's, with two rules for pages unlike those it learned from. */
import type { Features } from './features.ts'
import { probabilitiesOf } from './model.ts'
import type { Page } from './page.ts'
import type { Segment } from './segments.ts'

/** Best of .35–.55 on the pages for tuning; F1 there loses .001 at .4, .005 at .5, .012 at .55. */
const THRESHOLD = 0.45
/** Pages below this mass (a short text) are too small for statistics. */
const SMALL_PAGE = 1500

/** The segments to keep, in document order; none if the page holds nothing but boilerplate. */
export function mainContent({ segments, features }: Page): Segment[] {
  const probabilities = probabilitiesOf(segments, features)
  const total = sum(segments, ({ mass }) => mass)
  const kept = segments.map((_, index) => (probabilities[index] ?? 0) >= THRESHOLD)
  const evident = segments.map((segment, index) => isEvident(segment, features[index] ?? {}))
  const frames = features.map(inFrame)
  const chosen = (flags: readonly boolean[]) => segments.filter((_, index) => flags[index])
  if (total < SMALL_PAGE) {
    const isNotice = (at: number) => features[at]?.['hint:consent'] === 1
    return worthKeeping(chosen(kept.map((flag, at) => evident[at] === true || (flag && !isNotice(at)))))
  }
  const found = worthKeeping(chosen(wholes(segments, kept, frames)))
  return found.length > 0 ? found : worthKeeping(chosen(evident))
}

/**
 * Code and tables stay with the text they stand in (by themselves they look like noise, to any statistics), and a list or
 * table stays or goes as a whole: half a table is worse than none.
 */
function wholes(segments: readonly Segment[], kept: readonly boolean[], frames: readonly boolean[]): boolean[] {
  const result = [...kept]
  for (const { start, end, kind } of runs(segments)) {
    const run = segments.slice(start, end)
    const total = sum(run, ({ mass }) => mass)
    const share = sum(run, ({ mass }, index) => (kept[start + index] ? mass : 0)) / Math.max(1, total)
    const beside = result[start - 1] === true || kept[end] === true
    const links = sum(run, ({ linkMass }) => linkMass) / Math.max(1, total)
    const companion = (kind === 'CODE' || kind === 'TABLE') && beside && links < 0.5 && frames[start] !== true
    if (share >= 0.5 || companion) result.fill(true, start, end)
  }
  return result
}

/** Code blocks in a row, and the segments of one list or table. */
function runs(segments: readonly Segment[]) {
  const found: { start: number; end: number; kind: Segment['kind'] }[] = []
  segments.forEach(({ kind, group }, index) => {
    if (kind !== 'CODE' && group === 0) return
    const last = found.at(-1)
    const goesOn = last?.end === index && last.kind === kind && segments[index - 1]?.group === group
    if (last && goesOn) last.end++
    else found.push({ start: index, end: index + 1, kind })
  })
  return found
}

const sum = <T>(items: readonly T[], of: (item: T, index: number) => number): number =>
  items.reduce((total, item, index) => total + of(item, index), 0)

/** By markup alone: text outside navigation and the page's frame, and not a link. */
function isEvident(segment: Segment, features: Features): boolean {
  if (inFrame(features) && features.h1 !== 1) return false
  if ((features.links ?? 0) > 0.5 || features.copyright === 1) return false
  return segment.kind !== 'PARAGRAPH' || features.sentence === 1 || segment.mass > 60 || features.paragraph === 1
}
const FRAME = ['zone:nav', 'zone:header', 'zone:footer', 'zone:aside', 'zone:dialog', 'zone:button'].concat(
  ['navigation', 'footer', 'consent', 'advert', 'social'].map((hint) => `hint:${hint}`),
)

const inFrame = (features: Features): boolean => FRAME.some((name) => features[name] === 1)

/** Headings with nothing under them are no content. */
const worthKeeping = (segments: Segment[]): Segment[] =>
  segments.some(({ kind }) => kind !== 'HEADING') ? segments : []
