import t from 'tap'
import { createFakeClock } from '../../ops/testing/fake-clock.ts'
import { createAimd } from './aimd.ts'
import { bestFixed, simulate } from './gradient-simulation.ts'
import type { Server } from './gradient-simulation.ts'
import type { AdaptiveLimit, FeedbackKind } from './ports.ts'

const MAX = 64
const aimd = (given: Omit<Parameters<typeof createAimd>[0], 'max'>) => createAimd({ ...given, max: MAX })
const span = { forMs: 20_000, warmMs: 4000, seed: 1 }
const server = (given: Partial<Server>): Server => ({
  servers: 10,
  refuses: false,
  serviceMs: 20,
  spread: 0.3,
  ...given,
})

for (const refuses of [true, false])
  for (const servers of [4, 12, 40])
    void t.test(
      `${refuses ? 'refusals' : 'latency alone'} lead it to the ${servers} at once that a server takes: 95% of the best throughput at 1.5 times its p99`,
      async (t) => {
        for (const spread of [0.1, 0.3]) {
          const best = bestFixed(server({ servers, refuses, spread }), servers + (refuses ? 0 : 4), span)
          for (const seed of [1, 2]) {
            const found = simulate(aimd, () => server({ servers, refuses, spread }), { ...span, seed })
            t.ok(found.throughput >= 0.95 * best.throughput, `throughput ${found.throughput / best.throughput}`)
            t.ok(found.p99Ms <= 1.5 * best.p99Ms, `p99 ${found.p99Ms / best.p99Ms}`)
            t.ok(found.refused <= 0.03, `refused ${found.refused}`)
          }
        }
      },
    )

void t.test('when a server takes a fifth of what it took, and later all of it again, it follows', async (t) => {
  for (const refuses of [true, false]) {
    const least = server({ servers: 8, refuses })
    const after = simulate(aimd, (nowMs) => (nowMs < 5000 ? server({ servers: 40, refuses }) : least), {
      ...span,
      warmMs: 7000,
    })
    const best = bestFixed(least, refuses ? 8 : 12, span)
    t.ok(after.throughput >= 0.93 * best.throughput && after.p99Ms <= 1.5 * best.p99Ms, `fell to ${after.meanLimit}`)
    const back = simulate(aimd, (nowMs) => (nowMs < 5000 ? least : server({ servers: 40, refuses })), {
      ...span,
      forMs: 30_000,
      warmMs: 15_000,
    })
    t.ok(back.meanLimit >= 36, `rose to ${back.meanLimit}`)
  }
})

void t.test('a server that is slower for reasons of its own does not drive the limit down for long', async (t) => {
  const slower = (nowMs: number) => server({ servers: 20, refuses: true, serviceMs: nowMs < 5000 ? 20 : 60 })
  const run = simulate(aimd, slower, { ...span, forMs: 40_000, warmMs: 15_000 })
  t.ok(run.meanLimit >= 18, `mean limit ${run.meanLimit}`)
})

/** As many answers as its limit lets leave at once, all after the same time. */
async function setup() {
  const clock = createFakeClock()
  const limit = createAimd({ clock, max: MAX, random: () => 0.5 })
  const round = async (kind: FeedbackKind, at: AdaptiveLimit = limit) => {
    const inFlight = at.limit()
    await clock.advance(100)
    for (let n = 1; n <= inFlight; n += 1) at.sample({ kind, latencyMs: 100 }, inFlight)
  }
  const warm = async (to: number) => {
    for (let rounds = 0; rounds < 500 && limit.limit() < to; rounds += 1) await round('ok')
  }
  return { clock, limit, round, warm }
}

void t.test('one round trip full of refusals cuts the limit once, by 0.7', async (t) => {
  for (const kind of ['throttled', 'timeout', 'unavailable'] as const) {
    const { limit, round, warm } = await setup()
    await warm(MAX)
    t.equal(limit.limit(), MAX)
    await round(kind)
    t.equal(limit.limit(), 44, kind)
    await round(kind)
    t.equal(limit.limit(), 30, kind)
  }
})

void t.test('it never falls below 1 nor rises above the bound', async (t) => {
  const { limit, round, warm } = await setup()
  t.equal(limit.limit(), 1)
  for (let n = 0; n < 5; n += 1) await round('timeout')
  t.equal(limit.limit(), 1)
  await warm(Infinity)
  t.ok(limit.limit() <= MAX)
})

void t.test('answers of other kinds, and work that did not need the limit, leave it as it is', async (t) => {
  const { limit, round, warm } = await setup()
  await warm(16)
  const before = limit.limit()
  for (let n = 0; n < 30; n += 1) await round('rejected')
  for (let n = 0; n < 30; n += 1) await round('unsent')
  for (let n = 0; n < 30; n += 1) limit.sample({ kind: 'ok', latencyMs: 0 }, Math.floor(before / 2) - 1)
  t.equal(limit.limit(), before)
})

void t.test('after a restart it doubles per round trip up to half of what held, then goes on by steps', async (t) => {
  const { limit, round, warm } = await setup()
  await warm(MAX)
  for (let n = 0; n < 3; n += 1) await round('ok')
  for (let n = 0; n < 8; n += 1) await round('timeout') // the outage itself does not count as what held
  limit.restart()
  const seen = [limit.limit()]
  for (let rounds = 0; rounds < 200 && limit.limit() < MAX; rounds += 1) {
    await round('ok')
    if (limit.limit() !== seen.at(-1)) seen.push(limit.limit())
  }
  t.same(seen.slice(0, 7), [1, 2, 4, 8, 16, 32, 36])
})

void t.test('what held is the last level that did, not the highest ever', async (t) => {
  const { limit, round, warm } = await setup()
  await warm(MAX)
  for (let n = 0; n < 4; n += 1) await round('throttled')
  for (let n = 0; n < 12; n += 1) await round('ok')
  t.ok(limit.limit() <= 21)
  limit.restart()
  const seen = [limit.limit()]
  for (let rounds = 0; rounds < 60 && limit.limit() < 12; rounds += 1) {
    await round('ok')
    if (limit.limit() !== seen.at(-1)) seen.push(limit.limit())
  }
  t.same(seen.slice(0, 4), [1, 2, 4, 8])
  t.ok(seen[4]! <= 11, seen.join(' '))
})

void t.test('answers to what had left before a restart do not count', async (t) => {
  const { clock, limit, warm } = await setup()
  await warm(32)
  await clock.advance(50)
  limit.restart()
  await clock.advance(50)
  for (let n = 0; n < 200; n += 1) limit.sample({ kind: 'ok', latencyMs: 100 }, 32)
  t.equal(limit.limit(), 1)
})
