import t from 'tap'
import { nextDelayMs, raiseBackoff, retryAfterMs } from './politeness.ts'

const calm = { delayMs: 0, backoffMs: 0, backoffAtMs: 0 }
const answer = { latencyMs: 100, ok: true, crawlDelayMs: 0, floorMs: 1 }

t.test('the pause follows the latency: up at once, down by halves', async (t) => {
  t.equal(nextDelayMs(calm, answer), 100)
  t.equal(nextDelayMs({ ...calm, delayMs: 1000 }, answer), 550)
  t.equal(nextDelayMs({ ...calm, delayMs: 100 }, { ...answer, latencyMs: 3000 }), 3000)
})

t.test('an error never shortens the pause', async (t) => {
  t.equal(nextDelayMs({ ...calm, delayMs: 1000 }, { ...answer, latencyMs: 5, ok: false }), 1000)
})

t.test('floor and Crawl-delay hold, the latter up to an hour', async (t) => {
  t.equal(nextDelayMs(calm, { ...answer, floorMs: 250 }), 250)
  t.equal(nextDelayMs(calm, { ...answer, crawlDelayMs: 10_000, floorMs: 250 }), 10_000)
  t.equal(nextDelayMs(calm, { ...answer, crawlDelayMs: 1e12 }), 3_600_000)
})

t.test('an own host (floor 0) rests only if its robots.txt asks for it', async (t) => {
  t.equal(nextDelayMs({ ...calm, delayMs: 1000 }, { ...answer, floorMs: 0 }), 0)
  t.equal(nextDelayMs(calm, { ...answer, floorMs: 0, crawlDelayMs: 2000 }), 2000)
})

t.test('a back-off starts at a minute, doubles to a day, and is forgiven after half an hour of quiet', async (t) => {
  const none = () => 0
  let state = raiseBackoff(calm, 1000, 0, none)
  t.same(state, { delayMs: 0, backoffMs: 60_000, backoffAtMs: 1000 })
  state = raiseBackoff(state, 61_000, 0, none)
  t.equal(state.backoffMs, 120_000)
  t.equal(raiseBackoff(state, 61_000 + 120_000 + 29 * 60_000, 0, none).backoffMs, 240_000)
  t.equal(raiseBackoff(state, 61_000 + 120_000 + 30 * 60_000, 0, none).backoffMs, 60_000)
  for (let n = 0; n < 20; n++) state = raiseBackoff(state, state.backoffAtMs + state.backoffMs, 0, none)
  t.equal(state.backoffMs, 86_400_000)
  t.equal(raiseBackoff(calm, 0, 600_000, none).backoffMs, 600_000, 'the server’s own word is a minimum')
  t.equal(raiseBackoff(calm, 0, 0, () => 0.5).backoffMs, 63_000, 'jitter')
})

t.test('Retry-After is seconds or a date', async (t) => {
  const now = Date.parse('2030-01-01T00:00:00Z')
  t.equal(retryAfterMs('120', now), 120_000)
  t.equal(retryAfterMs('Tue, 01 Jan 2030 00:00:30 GMT', now), 30_000)
  for (const odd of [undefined, '', 'soon', '-5', 'Mon, 01 Jan 2029 00:00:00 GMT'])
    t.equal(retryAfterMs(odd, now), 0, odd ?? 'none')
})
