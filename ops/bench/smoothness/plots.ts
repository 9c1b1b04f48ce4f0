/** A panel a scenario, as SVG: what arrives per second and the limit above, what is in flight below, events as marks. */
import { allowedWithin } from './analysis.ts'
import type { Span, Weighted } from './analysis.ts'
import { highest, loadCurve, rateCurve, ticks } from './curves.ts'
import type { Point } from './curves.ts'
import { spansOf } from './log-views.ts'
import type { LoggedRequest, Recording } from './recording.ts'

const WIDTH = 560
const LEFT = 44
const RIGHT = 12
/** Two rows of legend stand above. */
const TOP = 30
const FLOW = 150
const GAP = 28
const LOAD = 48
const BOTTOM = 24
const HEIGHT = TOP + FLOW + GAP + LOAD + BOTTOM
const LOAD_TOP = TOP + FLOW + GAP

type Axis = (value: number) => number

export const escape = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

/** @param summary the panel in a sentence, for those who do not see it. */
export function panel(recording: Recording, summary: string): string {
  const { id, title, startedMs, outages, events } = recording
  const endMs = endOf(recording)
  const x: Axis = (atMs) => round(LEFT + ((atMs - startedMs) / (endMs - startedMs)) * (WIDTH - LEFT - RIGHT))
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-labelledby="${id}-t ${id}-d">
<title id="${id}-t">${escape(title)}: arrivals per second</title><desc id="${id}-d">${escape(summary)}</desc>
${outages.map((span) => shade(span, x, endMs)).join('')}
${secondsAxis(startedMs, endMs, x)}
${flow(recording, endMs, x)}
${load(recording, endMs, x)}
${events
  .filter(({ atMs }) => atMs <= endMs)
  .map(({ atMs, label }, index) => mark(label, x(atMs), index))
  .join('')}
</svg>`
}

const endOf = ({ startedMs, drainedMs, embeddings }: Recording) =>
  Math.max(startedMs + 1_000, drainedMs ?? 0, embeddings.at(-1)?.atMs ?? 0)

/** Requests and thousands of tokens share an axis: the stated API allows as many of the one as of the other. */
function flow(recording: Recording, endMs: number, x: Axis): string {
  const { embeddings, startedMs, limits } = recording
  const curve = (of: readonly LoggedRequest[], weight: (request: LoggedRequest) => number) =>
    rateCurve(
      of.map((request): Weighted => ({ atMs: request.atMs, weight: weight(request) })),
      startedMs,
      endMs,
    )
  const requests = curve(embeddings, () => 1)
  const tokens = curve(embeddings, (request) => request.tokens / 1000)
  const refused = curve(
    embeddings.filter(({ status }) => status !== 200),
    () => 1,
  )
  const limitAt = (atMs: number) => allowedWithin(limits.requests, atMs, atMs + 1000)
  const values = ticks(Math.max(limitAt(startedMs) * 1.3, highest(requests, tokens)))
  const y = axis(TOP, FLOW, values)
  const base = `L${x(endMs)} ${y(0)}L${x(startedMs)} ${y(0)}Z`
  return `${grid(values, y)}
<text x="${LEFT}" y="${TOP - 12}"><tspan class="flow-text">requests</tspan>, <tspan class="tokens-text">thousand tokens</tspan>${highest(refused) > 0 ? ' and <tspan class="refused-text">failed requests</tspan>' : ''} per second</text>
<path class="area" d="${line(requests, x, y)}${base}"/>
<path class="tokens" d="${line(tokens, x, y)}"/><path class="arrivals" d="${line(requests, x, y)}"/>
${highest(refused) > 0 ? `<path class="refused" d="${line(refused, x, y)}"/>` : ''}
<path class="limit" d="${limitLine(recording, endMs, x, y)}"/>
<text class="limit-text" x="${WIDTH - RIGHT}" y="${TOP - 12}">limit ${limitAt(startedMs)} per second</text>`
}

function load(recording: Recording, endMs: number, x: Axis): string {
  const spans = spansOf(recording)
  const embeddings = loadCurve(spans.embeddings, recording.startedMs, endMs)
  const postgres = loadCurve(spans.postgres, recording.startedMs, endMs)
  const values = ticks(Math.max(4, highest(embeddings, postgres)), 2)
  const y = axis(LOAD_TOP, LOAD, values)
  return `${grid(values, y)}
<text x="${LEFT}" y="${LOAD_TOP - 8}">in flight: <tspan class="flow-text">embeddings requests</tspan> and <tspan class="postgres-text">Postgres</tspan></text>
<path class="postgres" d="${line(postgres, x, y)}"/><path class="arrivals" d="${line(embeddings, x, y)}"/>`
}

const axis =
  (top: number, height: number, values: readonly number[]): Axis =>
  (value) =>
    round(top + height - (value / values.at(-1)!) * height)

const round = (value: number) => Math.round(value * 10) / 10

const line = (points: readonly Point[], x: Axis, y: Axis) =>
  points.map(([at, value], index) => `${index === 0 ? 'M' : 'L'}${x(at)} ${y(value)}`).join('')

const grid = (values: readonly number[], y: Axis) =>
  values
    .map((value) => `<path class="grid" d="M${LEFT} ${y(value)}H${WIDTH - RIGHT}"/>${tick(value, y(value) + 3.5)}`)
    .join('')

const tick = (value: number, y: number) =>
  `<text class="tick" x="${LEFT - 6}" y="${y}">${value.toLocaleString('en')}</text>`

const secondsAxis = (startedMs: number, endMs: number, x: Axis) =>
  ticks((endMs - startedMs) / 1000, 8)
    .map((second) => ({ second, at: startedMs + second * 1000 }))
    .filter(({ at }) => at <= endMs)
    .map(({ second, at }) => `<text class="second" x="${x(at)}" y="${HEIGHT - 6}">${second} s</text>`)
    .join('')

function limitLine({ limits, startedMs }: Recording, endMs: number, x: Axis, y: Axis): string {
  const steps = limits.requests.map(({ fromMs, perSecond }) => ({ at: x(Math.max(fromMs, startedMs)), perSecond }))
  const inside = steps.filter(({ at }) => at <= x(endMs))
  const path = inside.map(({ at, perSecond }, index) => `${index === 0 ? `M${at} ` : `H${at}V`}${y(perSecond)}`)
  return `${path.join('')}H${x(endMs)}`
}

function shade({ startMs, endMs }: Span, x: Axis, lastMs: number): string {
  const from = x(startMs)
  const width = round(Math.max(0, x(Math.min(endMs ?? lastMs, lastMs)) - from))
  return `<rect class="outage" x="${from}" y="${TOP}" width="${width}" height="${HEIGHT - TOP - BOTTOM}"/>`
}

/** Labels alternate between two heights, so that neighbours do not cover each other. */
function mark(label: string, at: number, index: number): string {
  const late = at > WIDTH * 0.75
  const text = `text-anchor="${late ? 'end' : 'start'}" x="${round(at + (late ? -4 : 4))}" y="${TOP + 11 + (index % 2) * 14}"`
  return `<path class="event" d="M${at} ${TOP}V${HEIGHT - BOTTOM}"/><text class="event-text" ${text}>${escape(label)}</text>`
}
