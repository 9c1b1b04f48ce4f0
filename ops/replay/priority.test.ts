/** Two processes over one lease table, each with a gate: one has live work, the other replays. */
import t from 'tap'
import { createLeaseTableModel } from '../../streams/throttle/leases-model.ts'
import { createLeases } from '../../streams/throttle/leases.ts'
import { createGate } from '../../streams/throttle/gate.ts'
import type { Lane } from '../../streams/throttle/ports.ts'
import { readConfig } from '../config.ts'
import { withEndpoints } from '../endpoints.ts'
import { createFakeClock } from '../testing/fake-clock.ts'
import { fakeLogger } from '../testing/runtime-fakes.ts'
import { modest } from './stage.ts'

const TOTAL = 100
const config = modest(withEndpoints(readConfig({}), {}))

function fleet() {
  // From 0: counted from 1970, waits below 0.0002 ms would not move the time at all.
  const clock = createFakeClock(0)
  const table = createLeaseTableModel(clock.now)
  function join(holder: string, lane: Lane, most = lane === 'live' ? 1 : config.mostOfBudgets) {
    const leases = createLeases({
      ...{ clock, holder, most, monotonicNow: clock.now, logger: fakeLogger(), random: () => 0.5 },
      table: { renew: (request) => new Promise((resolve) => void clock.after(2, () => resolve(table.renew(request)))) },
      ownership: () => ({ owned: [], of: 0 }),
    })
    const gate = createGate({ name: holder, clock, budgets: [leases.budget('records', 'rate', TOTAL)] })
    leases.start()
    let passed = 0
    let stopped = new AbortController()
    /** As many tenants as asked for never run out of work. */
    const work = (tenants: number) => {
      stopped = new AbortController()
      for (let tenant = 0; tenant < tenants; tenant += 1) void workOn(`${holder}-${tenant}`, stopped.signal)
    }
    async function workOn(tenantId: string, signal: AbortSignal) {
      for (;;) {
        const release = await gate.acquire({ tenantId, lane, cost: 1, takes: { records: 1 } }, signal).catch(() => null)
        if (!release) return
        passed += 1
        release()
      }
    }
    return { work, rest: () => stopped.abort(), leave: leases.close, count: () => passed }
  }
  return { clock, join }
}

t.test('live work of one tenant comes before a replay of fifty, which gets the least part there is', async (t) => {
  const { clock, join } = fleet()
  const [live, replay] = [join('live', 'live'), join('replay', 'replay')]
  live.work(1)
  replay.work(50)
  await clock.advance(5_000)
  const before = { live: live.count(), replay: replay.count() }
  await clock.advance(20_000)
  const [ofLive, ofReplay] = [live.count() - before.live, replay.count() - before.replay]
  t.ok(ofLive >= 0.9 * TOTAL * 20, `live: ${ofLive}`)
  t.ok(ofReplay > 0.02 * TOTAL * 20, `the replay comes to its end: ${ofReplay}`)
  t.ok(ofReplay <= 0.06 * TOTAL * 20, `the replay: ${ofReplay}`)
  live.rest()
  replay.rest()
})

t.test('while live instances rest half is the replay’s, and once they are gone all of it', async (t) => {
  const { clock, join } = fleet()
  const [live, replay] = [join('live', 'live'), join('replay', 'replay')]
  live.work(1)
  replay.work(1)
  await clock.advance(5_000)
  live.rest()
  await clock.advance(15_000)
  const passedIn = async (ms: number) => {
    const before = replay.count()
    await clock.advance(ms)
    return replay.count() - before
  }
  const beside = await passedIn(10_000)
  t.ok(beside >= 0.45 * TOTAL * 10 && beside <= 0.55 * TOTAL * 10, `beside one that rests: ${beside}`)
  const left = live.leave()
  await clock.advance(5_000)
  await left
  const alone = await passedIn(10_000)
  t.ok(alone >= 0.9 * TOTAL * 10, `alone: ${alone}`)
  replay.rest()
})

t.test('a live record that comes in the middle of a replay passes at once', async (t) => {
  const { clock, join } = fleet()
  const [live, replay] = [join('live', 'live'), join('replay', 'replay')]
  replay.work(50)
  await clock.advance(20_000)
  live.work(1)
  await clock.advance(50)
  t.ok(live.count() > 0, 'within 50 ms: there is room that nobody has to give back')
  live.rest()
  replay.rest()
})
