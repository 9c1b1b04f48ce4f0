import t from 'tap'
import { createGradient } from './gradient.ts'
import { bestFixed, simulate } from './gradient-simulation.ts'
import type { Server } from './gradient-simulation.ts'

const POOL = 8
const pool = (given: Omit<Parameters<typeof createGradient>[0], 'max'>) => createGradient({ ...given, max: POOL })
const span = { forMs: 60_000, warmMs: 10_000, seed: 1 }
const server = (given: Partial<Server>): Server => ({
  servers: 4,
  refuses: false,
  serviceMs: 20,
  spread: 0.3,
  ...given,
})

for (const servers of [2, 4, 8])
  void t.test(`it finds the knee at ${servers} servers behind a pool of ${POOL}`, async (t) => {
    for (const spread of [0.1, 0.3]) {
      const best = bestFixed(server({ servers, spread }), Math.min(POOL, 2 * servers), span)
      for (const seed of [1, 2]) {
        const found = simulate(pool, () => server({ servers, spread }), { ...span, seed })
        t.ok(found.throughput >= 0.95 * best.throughput, `throughput ${found.throughput / best.throughput}`)
        t.ok(found.p99Ms <= 1.5 * best.p99Ms, `p99 ${found.p99Ms / best.p99Ms}`)
      }
    }
  })

void t.test('requests of different size are compared with their like', async (t) => {
  const classes = { read: 0.2, 'write-8': 1, 'write-256': 5 }
  const best = bestFixed(server({ classes }), POOL, span)
  for (const seed of [1, 2, 3]) {
    const found = simulate(pool, () => server({ classes }), { ...span, seed })
    t.ok(found.throughput >= 0.95 * best.throughput, `throughput ${found.throughput / best.throughput}`)
    t.ok(found.p99Ms <= 1.5 * best.p99Ms, `p99 ${found.p99Ms / best.p99Ms}`)
  }
})

void t.test('a database that becomes slower for good is not starved: its idle latency is measured anew', async (t) => {
  const run = simulate(pool, (nowMs) => server({ serviceMs: nowMs < 10_000 ? 20 : 60 }), {
    ...span,
    forMs: 120_000,
    warmMs: 40_000,
  })
  const best = bestFixed(server({ serviceMs: 60 }), POOL, { ...span, forMs: 120_000, warmMs: 40_000 })
  t.ok(run.throughput >= 0.93 * best.throughput, `throughput ${run.throughput / best.throughput}`)
})

void t.test('an idle latency that has crept up a little does not keep it from a capacity that has grown', async (t) => {
  const grown = (nowMs: number) =>
    nowMs < 5000 ? server({ servers: 2, spread: 0.1 }) : server({ servers: POOL, spread: 0.1, serviceMs: 24 })
  const run = simulate(pool, grown, { ...span, forMs: 100_000, warmMs: 80_000 })
  t.ok(run.meanLimit >= 7, `mean limit ${run.meanLimit}`)
})

void t.test('one that becomes faster is used: the old latency does not hide a queue', async (t) => {
  const run = simulate(pool, (nowMs) => server({ serviceMs: nowMs < 10_000 ? 60 : 20 }), { ...span, warmMs: 20_000 })
  const best = bestFixed(server({}), POOL, span)
  t.ok(run.throughput >= 0.93 * best.throughput, `throughput ${run.throughput / best.throughput}`)
  t.ok(run.p99Ms <= 1.5 * best.p99Ms, `p99 ${run.p99Ms / best.p99Ms}`)
})

void t.test('timeouts and absence halve the limit, once per round trip', async (t) => {
  for (const kind of ['timeout', 'unavailable'] as const) {
    let nowMs = 0
    const limit = createGradient({ clock: { now: () => nowMs, after: () => () => {} }, max: POOL, random: () => 0.5 })
    const round = (answer: typeof kind | 'ok') => {
      const inFlight = limit.limit()
      nowMs += 10
      for (let n = 0; n < inFlight; n += 1) limit.sample({ kind: answer, latencyMs: 10 }, inFlight)
    }
    for (let rounds = 0; rounds < 100 && limit.limit() < POOL; rounds += 1) round('ok')
    t.equal(limit.limit(), POOL)
    round(kind)
    t.equal(limit.limit(), POOL / 2)
  }
})
