/** Figures, gates and the report of recordings that are made up, so that what they must say is known. */
import t from 'tap'
import { figuresOf } from './figures.ts'
import { gatesOf } from './gates.ts'
import type { LoggedRequest, LoggedWork, Recording } from './recording.ts'
import { reportPage } from './report.ts'

const START = 1_000_000

const request = (atMs: number, given: Partial<LoggedRequest> = {}): LoggedRequest => ({
  ...{ seq: 0, atMs: START + atMs, endMs: START + atMs + 100, status: 200, inputs: 7, tokens: 1_000, inFlight: 1 },
  markers: [`t00-p${atMs}-0`],
  ...given,
})
const work = (startMs: number, endMs: number, given: Partial<LoggedWork> = {}): LoggedWork => ({
  ...{ startMs: START + startMs, endMs: START + endMs, statementsMs: [], text: '', transaction: true },
  ...{ control: false, cut: false },
  ...given,
})

/** 5 requests a second for 40 s: exactly what the API allows. */
const evenly = (fromMs = 0, count = 200) => Array.from({ length: count }, (_, index) => request(fromMs + index * 200))

const recorded = (given: Partial<Recording> = {}): Recording => ({
  ...{
    id: 'd1',
    title: 'Ours',
    kind: 'steady',
    instances: 1,
    what: '',
    database: 'PGlite',
    startedMs: START,
    drainedMs: START + 40_000,
  },
  embeddings: evenly(),
  postgres: [work(0, 50), work(200, 260)],
  ...{ publishedMs: {}, arms: {}, events: [], outages: [], tasksOpen: null, failure: null },
  limits: { requests: [{ fromMs: 0, perSecond: 5 }], tokens: [{ fromMs: 0, perSecond: 5_000 }] },
  pages: { published: 200, stored: 200 },
  ...given,
})
const judged = (given: Partial<Recording>) => {
  const recording = recorded(given)
  return gatesOf(recording, figuresOf(recording))
}
const missed = (given: Partial<Recording>) =>
  judged(given)
    .filter(({ met }) => !met)
    .map(({ gate }) => gate)

t.test('an even flow at the limit meets every gate', async (t) => {
  t.match(figuresOf(recorded()), {
    ...{ requests: 200, tokens: 200_000, idealS: 40, drainRatio: 1, outstanding: 2, refused: 0, retryShare: 0 },
    peak: { ratio: 1, perSecond: 5 },
  })
  t.same(missed({}), [])
})

t.test('each thing that is wrong misses its own gate', async (t) => {
  const base = evenly()
  t.same(missed({ drainedMs: START + 42_500 }), ['drain time / ideal'])
  t.same(missed({ pages: { published: 200, stored: 199 } }), ['pages that are not stored'])
  t.same(missed({ embeddings: base.map((one) => ({ ...one, endMs: one.atMs + 900 })) }), [
    'embeddings requests in flight',
  ])
  const five = Array.from({ length: 5 }, () => work(100, 110))
  t.same(missed({ postgres: five }), ['Postgres work in flight'])
  t.same(missed({ postgres: five.map((one) => ({ ...one, control: true })) }), [], 'leases are counted apart')
  const one429 = base.map((one, index) => (index % 100 === 50 ? { ...one, status: 429 } : one))
  t.same(missed({ embeddings: one429, drainedMs: START + 39_600 }), ['429s provoked'])
  t.same(missed({ failure: 'not drained' }), ['it runs to its end'])
})

t.test('a burst in the middle is a peak and is over the rate', async (t) => {
  const burst = Array.from({ length: 5 }, (_, index) => request(20_000 + index, { endMs: START + 20_000 + index + 1 }))
  const embeddings = [...evenly(), ...burst].sort((a, b) => a.atMs - b.atMs)
  const gates = missed({ embeddings })
  t.ok(gates.includes('peak / mean, steady'))
  t.ok(gates.includes('requests over the rate, worst 10 s'))
})

t.test('a figure that is its bound meets it, whatever the division left of it', async (t) => {
  const ratios = [1.2 + 1e-12, 1.2 + 1e-6]
  const figures = figuresOf(recorded())
  const states = ratios.map(
    (ratio) =>
      gatesOf(recorded(), { ...figures, peak: { ...figures.peak!, ratio } }).find(({ gate }) =>
        gate.startsWith('peak'),
      )!.met,
  )
  t.same(states, [true, false])
})

t.test('baselines are held to nothing', async (t) => {
  t.same(judged({ kind: 'baseline', embeddings: [] }), [])
})

t.test('a retry is a request whose inputs had all been sent before', async (t) => {
  const embeddings = [
    request(0, { markers: ['a-p1-0', 'a-p1-1'] }),
    request(200, { markers: ['a-p1-0', 'a-p1-1'] }),
    request(400, { markers: ['a-p1-1', 'a-p2-0'] }),
    request(600, { markers: [] }),
  ]
  t.equal(figuresOf(recorded({ embeddings })).retryShare, 0.25)
})

t.test('a page waits from its publication to the answer that completes it', async (t) => {
  const embeddings = [
    request(500, { markers: ['a-p1-0'], status: 429 }),
    request(1_000, { markers: ['a-p1-0'], endMs: START + 8_000 }),
    request(3_000, { markers: ['a-p1-1', 'b-p2-0'] }),
    request(9_000, { markers: ['b-p2-0'], status: 500 }),
  ]
  const publishedMs = { 'a-p1': START, 'b-p2': START + 2_000 }
  const arms = { quiet: ['b-p2'], never: ['c-p3'] }
  t.match(figuresOf(recorded({ embeddings, publishedMs, arms })), {
    waitP99S: 8,
    arms: { quiet: 1.1, never: Infinity },
  })
})

t.test('quiet tenants are compared with themselves alone', async (t) => {
  const embeddings = [...evenly(), request(41_000, { markers: ['q-p1-0'] }), request(45_000, { markers: ['q-p2-0'] })]
  const arms = { alone: ['q-p1'], flooded: ['q-p2'] }
  const quiet = (flooded: number) =>
    judged({
      ...{ kind: 'event', embeddings, arms },
      publishedMs: { 'q-p1': START + 40_000, 'q-p2': START + flooded },
    }).find(({ gate }) => gate.startsWith('quiet'))
  t.match(quiet(43_000), { met: true })
  t.match(quiet(42_000), { met: false, why: '3.1 s against 1.1 s' })
})

t.test('after an outage the way back is measured, and the minute after it judged from its first arrival', async (t) => {
  const outage = (backMs: number): Partial<Recording> => ({
    kind: 'event',
    embeddings: [...evenly(0, 50), ...evenly(backMs, 300)],
    events: [
      { atMs: START + 10_000, label: 'away', judged: false, recovery: false },
      { atMs: START + 40_000, label: 'back', judged: true, recovery: true },
    ],
    drainedMs: START + 160_000,
  })
  t.same(missed(outage(41_000)), [])
  const [back] = figuresOf(recorded(outage(50_000))).events
  t.match(back, { label: 'back', peak: { ratio: 1 }, swings: 0 })
  t.ok(back!.steadyAfterS! > 9 && back!.steadyAfterS! < 10.1, `${back!.steadyAfterS}`)
  t.ok(missed(outage(105_000)).includes('steady again after “back”'))
})

t.test('an event’s minute ends with the next event', async (t) => {
  const slow = Array.from({ length: 50 }, (_, index) => request(index * 400))
  const events = [0, 20_000].map((at) => ({ atMs: START + at, label: `${at}`, judged: true, recovery: false }))
  const recording = recorded({ kind: 'event', embeddings: [...slow, ...evenly(20_000, 250)], events })
  t.match(figuresOf(recording).events, [{ peak: { perSecond: 2.5, ratio: 1 } }, { peak: { ratio: 1 } }])
})

t.test('a limit that is halved is what the flow is held to from then on', async (t) => {
  const limits = {
    requests: [
      { fromMs: 0, perSecond: 5 },
      { fromMs: START + 20_000, perSecond: 2.5 },
    ],
    tokens: [{ fromMs: 0, perSecond: 5_000 }],
  }
  t.same(missed({ limits }), ['requests over the rate, worst 10 s'])
})

t.test('the report says what was missed and why, names its tables, and needs nothing from elsewhere', async (t) => {
  const recording = recorded({ title: 'Ours <1>', pages: { published: 200, stored: 190 } })
  const figures = figuresOf(recording)
  const gates = gatesOf(recording, figures)
  const about = { date: '2026-01-01', database: 'PGlite', machine: 'a & b' }
  const page = reportPage([{ recording, figures, gates }], about)
  t.match(page, /<title>[^<]+<\/title>/)
  t.match(page, /of \d+ gates are met, <a href="#missed">1 is missed/)
  t.match(page, 'pages that are not stored')
  t.match(page, 'Ours &#60;1&#62;')
  t.notMatch(page, 'Ours <1>')
  t.match(page, 'a &#38; b')
  t.notMatch(page, /src=|href="(?!#)|@import|url\(/)
  t.notMatch(page, /NaN|undefined|Infinity|\[object/)
  const tables = page.match(/<table/g)?.length
  t.equal(page.match(/<caption>/g)?.length, tables)
  const ids = [...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id)
  t.equal(new Set(ids).size, ids.length, 'ids are unique')
  for (const [, named] of page.matchAll(/aria-labelledby="([^"]+)"/g))
    for (const id of named!.split(' ')) t.ok(ids.includes(id), `${id} is there`)
})

t.test('a scenario that got nowhere has a panel all the same', async (t) => {
  const recording = recorded({ embeddings: [], postgres: [], drainedMs: null, failure: 'no such command' })
  const figures = figuresOf(recording)
  const page = reportPage([{ recording, figures, gates: gatesOf(recording, figures) }], {
    ...{ date: '', database: '', machine: '' },
  })
  t.match(page, 'no such command')
  t.notMatch(page, /NaN|undefined|Infinity/)
})
