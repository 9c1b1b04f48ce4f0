import t from 'tap'
import { createControlLog } from '../../ops/testing/control-log.ts'
import { createFakeClock } from '../../ops/testing/fake-clock.ts'
import { fakeLogger } from '../../ops/testing/runtime-fakes.ts'
import { createFleetBreaker } from './breaker.ts'
import { breakerKey } from './control-state.ts'

const MIN_MS = 1_000
const MAX_MS = 16_000
const PROBE_MS = 5_000
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** Instances a, b, … over one log. `random` 0: every wait is the half that is certain. */
function setup({ delayMs = () => 0, random = () => 0 }: { delayMs?: () => number; random?: () => number } = {}) {
  const fake = createFakeClock()
  // As the system's: a timer holds 24.8 days.
  const clock = { ...fake, after: (ms: number, call: () => void) => fake.after(Math.min(ms, 2 ** 31 - 1), call) }
  const log = createControlLog(clock, delayMs)
  const join = (instance: string, { alone = false, ...from }: { alone?: boolean; compaction?: boolean } = {}) => {
    const channel = log.connect(instance, from)
    const work = { waits: true }
    const breaker = createFleetBreaker({
      ...{ dependency: 'embeddings', channel: alone ? null : channel, clock, random, logger: fakeLogger() },
      ...{ tripAfter: 3, minMs: MIN_MS, maxMs: MAX_MS, probeMs: PROBE_MS, hasWork: () => work.waits },
    })
    const trip = (retryAfterMs?: number) => breaker.failed({ message: 'away', trip: true, retryAfterMs })
    return { ...breaker, breaker, channel, work, trip, kind: () => breaker.state().kind }
  }
  return { clock, log, join }
}
const kinds = (log: ReturnType<typeof createControlLog>) => log.entries.map(({ value }) => value?.breaker_state)

t.test('it opens after so many failures in a row, not before, and for the whole fleet', async (t) => {
  const { join } = setup()
  const [a, b] = [join('a'), join('b')]
  const fail = () => a.failed({ message: 'refused' })
  fail()
  fail()
  a.succeeded()
  fail()
  fail()
  t.equal(a.kind(), 'closed')
  fail()
  for (const one of [a, b])
    t.match(one.state(), { kind: 'open', openedBy: 'a', reason: 'refused', retryInMs: MIN_MS / 2 })
})

t.test('a used-up quota, or a Retry-After from a second on, opens it at once', async (t) => {
  for (const failure of [{ trip: true }, { retryAfterMs: 1_000 }]) {
    const a = setup().join('a')
    a.failed({ message: 'no', ...failure })
    t.equal(a.kind(), 'open')
  }
  const a = setup().join('a')
  a.failed({ message: 'a moment', retryAfterMs: 999 })
  t.equal(a.kind(), 'closed')
})

t.test('the instance that met the outage stops at once, before the log has shown it', async (t) => {
  const { clock, join } = setup({ delayMs: () => 100 })
  const [a, b] = [join('a'), join('b')]
  a.trip()
  t.equal(a.kind(), 'open')
  t.equal(b.kind(), 'closed')
  await clock.advance(200)
  t.equal(b.kind(), 'open')
})

t.test('one instance of many probes; its success closes the circuit for all', async (t) => {
  const { clock, join } = setup()
  const all = ['a', 'b', 'c'].map((name) => join(name))
  all[0]!.trip()
  await clock.advance(MIN_MS / 2)
  const holders = all.filter(({ state }) => state().probeIsMine)
  t.equal(holders.length, 1)
  for (const one of all) t.equal(one.kind(), 'half-open')
  holders[0]!.succeeded()
  for (const one of all) t.match(one.state(), { kind: 'closed', probeIsMine: false })
  t.equal(clock.pending(), 0)
})

t.test('a failed probe opens it again, each wait twice the last, half of it jitter, up to the ceiling', async (t) => {
  for (const jitter of [0, 0.999]) {
    const { clock, join } = setup({ random: () => jitter })
    const a = join('a', { alone: true })
    a.trip()
    for (let failures = 0; failures < 7; failures += 1) {
      const ceiling = Math.min(MAX_MS, MIN_MS * 2 ** failures)
      t.equal(a.state().retryInMs, ceiling / 2 + (jitter * ceiling) / 2)
      await clock.advance(a.state().retryInMs!)
      t.ok(a.state().probeIsMine)
      a.failed({ message: 'still away' })
    }
  }
})

t.test('only a success of the probe closes it: not a late one, nor that of another instance', async (t) => {
  const { clock, join } = setup()
  const [a, b] = [join('a'), join('b')]
  const beforeMs = clock.now()
  a.trip()
  a.succeeded()
  t.equal(a.kind(), 'open')
  await clock.advance(MIN_MS / 2)
  const [holder, other] = a.state().probeIsMine ? [a, b] : [b, a]
  other.succeeded()
  holder.succeeded({ sentMs: beforeMs })
  t.equal(holder.kind(), 'half-open')
  holder.failed({ message: 'a timeout of before', sentMs: beforeMs })
  t.equal(holder.kind(), 'half-open')
  holder.succeeded({ sentMs: clock.now() })
  t.equal(holder.kind(), 'closed')
})

t.test('late failures of the outage that is over do not open it anew', async (t) => {
  const { clock, join } = setup()
  const a = join('a', { alone: true })
  const sentMs = clock.now()
  a.trip()
  await clock.advance(MIN_MS)
  a.succeeded()
  for (let late = 0; late < 5; late += 1) a.failed({ message: 'timeout', sentMs })
  t.equal(a.kind(), 'closed')
})

t.test('a Retry-After of any length is waited for, beyond what a timer can hold', async (t) => {
  const { clock, join } = setup()
  const [a, b] = [join('a'), join('b')]
  a.trip(40 * DAY_MS)
  await clock.advance(40 * DAY_MS - 1)
  t.equal(b.kind(), 'open')
  await clock.advance(1)
  t.ok(a.state().probeIsMine || b.state().probeIsMine)
})

t.test(
  'a longer Retry-After counts for all, also told while open, or written at the same time as a shorter',
  async (t) => {
    const { clock, join } = setup({ delayMs: () => 50 })
    const [a, b] = [join('a'), join('b')]
    b.trip()
    a.trip(60_000)
    await clock.advance(400)
    t.ok(b.state().retryInMs! > 59_000)
    b.failed({ message: 'later', retryAfterMs: 120_000 })
    await clock.advance(400)
    t.ok(a.state().retryInMs! > 119_000)
  },
)

t.test('a longer Retry-After that comes while another probes lets that probe end first', async (t) => {
  const { clock, join } = setup()
  const [a, b] = [join('a'), join('b')]
  a.trip()
  await clock.advance(MIN_MS / 2)
  const other = a.state().probeIsMine ? b : a
  other.failed({ message: 'busy', retryAfterMs: PROBE_MS + 1 })
  t.match(other.state(), { kind: 'open', retryInMs: PROBE_MS + 1 })
  other.failed({ message: 'busy', retryAfterMs: 10 })
  t.match(other.state(), { kind: 'open', retryInMs: PROBE_MS + 1 }, 'a shorter one changes nothing')
})

t.test('without work nobody probes; whoever gets some does, at once when told', async (t) => {
  const { clock, log, join } = setup()
  const [a, b] = [join('a'), join('b')]
  a.work.waits = b.work.waits = false
  a.trip()
  await clock.advance(HOUR_MS)
  t.strictSame(kinds(log), ['OPEN'])
  b.work.waits = true
  b.wake()
  t.ok(b.state().probeIsMine)
})

t.test('a probe whose holder died ends by itself, and another instance tries', async (t) => {
  const { clock, join } = setup()
  const a = join('a')
  a.trip()
  await clock.advance(MIN_MS / 2)
  t.ok(a.state().probeIsMine)
  const b = join('b')
  a.channel.die()
  await clock.advance(PROBE_MS - 1)
  t.notOk(b.state().probeIsMine)
  await clock.advance(1)
  t.ok(b.state().probeIsMine)
  t.notOk(a.state().probeIsMine, 'and the old one knows that its time is over')
})

t.test('an instance that closes gives its probe back', async (t) => {
  const { clock, join } = setup()
  const [a, b] = [join('a'), join('b')]
  a.trip()
  await clock.advance(MIN_MS / 2)
  const [holder, other] = a.state().probeIsMine ? [a, b] : [b, a]
  holder.close()
  await clock.advance(1)
  t.ok(other.state().probeIsMine)
  other.close()
  t.equal(clock.pending(), 0)
})

t.test(
  'with the log away it stops, waits and probes by itself, and says so to the fleet when it is back',
  async (t) => {
    let away = true
    const { clock, log, join } = setup({ delayMs: () => (away ? Infinity : 0) })
    const a = join('a')
    a.trip(5_000)
    await clock.advance(4_999)
    t.equal(a.kind(), 'open')
    await clock.advance(1 + 1_999)
    t.notOk(a.state().probeIsMine, 'the log is given two seconds')
    await clock.advance(1)
    t.ok(a.state().probeIsMine)
    away = false
    a.succeeded()
    t.equal(a.kind(), 'closed')
    t.strictSame(kinds(log), ['CLOSED'])
  },
)

t.test('of claims written at once one counts, and compaction keeps that one', async (t) => {
  const { clock, log, join } = setup({ delayMs: () => 100 })
  const all = ['a', 'b', 'c'].map((name) => join(name))
  all[0]!.trip()
  await clock.advance(MIN_MS / 2 + 200 + 100 + 200)
  t.ok(kinds(log).filter((kind) => kind === 'HALF_OPEN').length > 1, 'several were written')
  await clock.advance(400)
  const holder = all.findIndex(({ state }) => state().probeIsMine)
  t.equal(all.filter(({ state }) => state().probeIsMine).length, 1)
  const last = log.entries.findLast(({ key }) => key === breakerKey('embeddings'))
  t.equal(last?.value?.instance, 'abc'[holder])
})

t.test('a dependency that takes one request and no more is tried ever more rarely', async (t) => {
  const { clock, log, join } = setup()
  const all = ['a', 'b'].map((name) => join(name))
  for (let second = 0; second < 600; second += 1) {
    for (const one of all) {
      if (one.state().probeIsMine) one.succeeded()
      if (one.kind() === 'closed') for (let request = 0; request < 3; request += 1) one.failed({ message: 'too many' })
    }
    await clock.advance(1_000)
  }
  const opened = kinds(log).filter((kind) => kind === 'OPEN').length
  t.ok(opened < 600_000 / (MAX_MS / 2) + 10, `${opened} times in ten minutes`)
  t.ok(opened > 20, 'but it is tried')
})

t.test('an operator who lifts the breaker’s record closes the circuit', async (t) => {
  const { join } = setup()
  const [a, b] = [join('a'), join('b')]
  a.trip(HOUR_MS)
  await b.channel.publish(breakerKey('embeddings'), null)
  t.equal(a.kind(), 'closed')
  a.trip()
  t.equal(b.kind(), 'open')
})

t.test('a probe that nothing is sent with is given back, and another instance has it', async (t) => {
  const { clock, join } = setup()
  const all = ['a', 'b'].map((name) => join(name))
  all[0]!.trip()
  await clock.advance(MIN_MS / 2)
  const first = all.find(({ state }) => state().probeIsMine)!
  const other = all.find((one) => one !== first)!
  await clock.advance(1_999)
  t.ok(first.state().probeIsMine)
  await clock.advance(1)
  t.notOk(first.state().probeIsMine)
  t.ok(other.state().probeIsMine)
  other.sent()
  await clock.advance(PROBE_MS - 1)
  t.ok(other.state().probeIsMine, 'what was sent has all of its time')
})

t.test('an instance that is slow to begin is given twice the time each time, until it sends', async (t) => {
  const { clock, join } = setup()
  const [a, b] = [join('a'), join('b')]
  b.work.waits = false
  a.trip()
  await clock.advance(MIN_MS / 2 + 2_000)
  t.equal(a.kind(), 'open')
  await clock.advance(1_000)
  t.ok(a.state().probeIsMine)
  await clock.advance(3_999)
  t.ok(a.state().probeIsMine)
  a.sent()
  a.succeeded()
  t.equal(b.kind(), 'closed')
})

t.test('a claim that the log has not shown is given back at the end: nobody waits for it', async (t) => {
  const { clock, log, join } = setup({ delayMs: () => 100 })
  const [a, b] = [join('a'), join('b')]
  b.work.waits = false
  a.trip()
  await clock.advance(200 + MIN_MS / 2)
  t.strictSame(a.kind(), 'open', 'it is on its way')
  a.breaker.close()
  await clock.advance(200)
  t.strictSame(kinds(log), ['OPEN', 'HALF_OPEN', 'OPEN'])
  t.match(b.state(), { kind: 'open', retryInMs: 0 })
})
