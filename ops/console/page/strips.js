/** The last 15 minutes as strips: drawn as SVG by time, and told in words for those who do not see them. */
import { h, keyed, setAttribute, setText, svg } from './dom.js'
import { amount, duration, rate, serverNow } from './format.js'

const SPAN_MS = 15 * 60_000
const WIDTH = 600
const HEIGHT = 40

/** What each strip shows of a sample; `limit` is drawn dashed, `held` as the band below: the share of the time. */
const strips = [
  ...['crawler', 'processor', 'chunker'].flatMap((stage) => [
    {
      key: `${stage}-age`,
      label: `${stage}: oldest record here`,
      of: (s) => s.stages[stage]?.ageSeconds,
      say: (v) => duration(v * 1000),
    },
    { key: `${stage}-rate`, label: `${stage}: settled`, of: (s) => s.stages[stage]?.perSecond, say: rate },
  ]),
  { key: 'requests', label: 'embedding requests sent', of: (s) => s.usage.requestsPerSecond, say: rate },
  { key: 'tokens', label: 'embedding tokens sent', of: (s) => s.usage.tokensPerSecond, say: rate },
  ...[
    ['embeddings', 'embedding requests in flight'],
    ['database', 'database statements in flight'],
  ].map(([gate, label]) => ({
    ...{ key: gate, label, say: amount },
    of: (s) => s.gates[gate]?.inFlight,
    limit: (s) => s.gates[gate]?.limit,
    held: (s) => s.gates[gate]?.held,
  })),
]

export function createStrips(section, model) {
  const parent = section.querySelector('.strips')
  const samples = () => model.history.filter(({ atMs }) => atMs > serverNow() - SPAN_MS)
  return () => {
    const shown = samples()
    const has = strips.filter(({ of }) => shown.some((sample) => of(sample) !== undefined))
    const dependencies = Object.keys(shown.at(-1)?.breakers ?? {})
    const items = [
      ...has,
      ...dependencies.map((name) => ({ key: `breaker-${name}`, label: `circuit of ${name}`, breaker: name })),
    ]
    keyed(
      parent,
      items,
      ({ key }) => key,
      createStrip,
      (node, strip) => node.draw(strip, shown),
    )
  }
}

function createStrip({ label, breaker }) {
  const value = h('span', { class: 'value' })
  const range = h('p', { class: 'range' })
  const height = breaker ? 10 : HEIGHT
  const drawing = svg('svg', {
    viewBox: `0 0 ${WIDTH} ${height}`,
    preserveAspectRatio: 'none',
    role: 'img',
    class: breaker ? 'band' : 'strip',
  })
  const node = h('div', { class: 'strip-row' }, h('p', {}, h('span', { class: 'name' }, label), value), drawing, range)
  node.draw = (strip, samples) => {
    drawing.replaceChildren(...grid(height), ...(breaker ? bands(samples, breaker) : lines(strip, samples)))
    const words = breaker ? tellBand(samples, breaker) : tellLine(strip, samples)
    setText(value, words.now)
    setText(range, words.range)
    setAttribute(drawing, 'aria-label', `${label}, last 15 minutes: now ${words.now}; ${words.range}`)
  }
  return node
}

const x = (atMs) => Math.round(((atMs - serverNow() + SPAN_MS) / SPAN_MS) * WIDTH * 10) / 10
const grid = (height) =>
  [1, 2].map((third) =>
    svg('line', { class: 'grid', x1: (third * WIDTH) / 3, x2: (third * WIDTH) / 3, y1: 0, y2: height }),
  )

function lines({ of, limit, held }, samples) {
  const known = samples.filter((sample) => of(sample) !== undefined)
  const top = Math.max(1, ...known.map((sample) => Math.max(of(sample), limit?.(sample) ?? 0)))
  const bottom = HEIGHT - (held ? 6 : 1)
  const y = (value) => Math.round((bottom - (value / top) * (bottom - 2)) * 10) / 10
  const line = (points) => `M${points.join('L')}`
  const points = known.map((sample) => `${x(sample.atMs)},${y(of(sample))}`)
  if (points.length === 0) return []
  const area = `${line(points)}L${x(known.at(-1).atMs)},${bottom}L${x(known[0].atMs)},${bottom}Z`
  const limits = limit
    ? known.filter((sample) => limit(sample) !== null).map((sample) => `${x(sample.atMs)},${y(limit(sample))}`)
    : []
  return [
    svg('path', { class: 'area', d: area }),
    svg('path', { class: 'line', d: line(points) }),
    ...(limits.length > 1 ? [svg('path', { class: 'limit', d: line(limits) })] : []),
    ...(held
      ? spans(known, (sample) => heldShare(held(sample))).map(([from, to, share]) =>
          svg('rect', { class: 'held', x: from, width: to - from, y: HEIGHT - 5, height: 5, 'fill-opacity': share }),
        )
      : []),
  ]
}

const SAMPLE_SECONDS = 5
const heldShare = (held) =>
  Math.min(1, Object.values(held ?? {}).reduce((sum, seconds) => sum + seconds, 0) / SAMPLE_SECONDS)

/** Neighbours with the same value are one span; 0 and closed are none. */
function spans(samples, valueOf) {
  const found = []
  samples.forEach((sample, index) => {
    const value = valueOf(sample)
    if (!value) return
    const from = x(samples[index - 1]?.atMs ?? sample.atMs - SAMPLE_SECONDS * 1000)
    const last = found.at(-1)
    if (last && last[1] === from && last[2] === value) last[1] = x(sample.atMs)
    else found.push([from, x(sample.atMs), value])
  })
  return found
}

function bands(samples, name) {
  const shown = spans(samples, ({ breakers }) => (breakers[name] === 'closed' ? '' : breakers[name]))
  const base =
    samples.length > 0
      ? [svg('rect', { class: 'closed', x: x(samples[0].atMs), width: WIDTH - x(samples[0].atMs), y: 3, height: 4 })]
      : []
  return [
    ...base,
    ...shown.map(([from, to, kind]) =>
      svg('rect', { class: kind, x: from, width: Math.max(2, to - from), y: 0, height: 10 }),
    ),
  ]
}

function tellLine({ of, say, limit, held }, samples) {
  const values = samples.map(of).filter((value) => value !== undefined)
  if (values.length === 0) return { now: '–', range: '' }
  const ceiling = limit?.(samples.at(-1))
  const waited = held ? reasonsOf(samples.map(held)) : ''
  const now = say(values.at(-1)) + (ceiling === null || ceiling === undefined ? '' : ` of ${amount(ceiling)}`)
  return { now, range: `${say(Math.min(...values))} to ${say(Math.max(...values))}${waited}` }
}

function reasonsOf(all) {
  const sums = {}
  for (const held of all)
    for (const [reason, seconds] of Object.entries(held ?? {})) sums[reason] = (sums[reason] ?? 0) + seconds
  const told = Object.entries(sums).sort((a, b) => b[1] - a[1])
  return told.length === 0
    ? ''
    : `; held back by ${told.map(([reason, seconds]) => `${reason} ${duration(seconds * 1000)}`).join(', ')}`
}

function tellBand(samples, name) {
  const open = samples.filter(({ breakers }) => breakers[name] !== 'closed').length * SAMPLE_SECONDS
  return {
    now: samples.at(-1)?.breakers[name] ?? '–',
    range: open === 0 ? 'closed all the time' : `not closed for ${duration(open * 1000)}`,
  }
}
