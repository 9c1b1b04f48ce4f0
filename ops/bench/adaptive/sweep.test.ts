import t from 'tap'
import { bestFixed, worth } from './sweep.ts'

const tried = (limit: number, throughput: number, p99Ms: number, refused = 0) => ({
  limit,
  throughput,
  p99Ms,
  refused,
  inFlight: limit,
})

void t.test('the best limit is the one with the highest throughput', async (t) => {
  t.match(bestFixed([tried(1, 50, 20), tried(4, 200, 21), tried(2, 100, 20)]), { limit: 4 })
})

void t.test('beyond the knee only latency grows: of equal throughputs the lowest limit is the best', async (t) => {
  t.match(bestFixed([tried(16, 400, 80), tried(8, 395, 30), tried(4, 200, 30)]), { limit: 8 })
})

void t.test('a limit that lives on refusals is none', async (t) => {
  t.match(bestFixed([tried(8, 380, 30, 0.02), tried(16, 400, 30, 0.6)]), { limit: 8 })
  t.throws(() => bestFixed([tried(8, 380, 30, 0.5)]), RangeError)
})

void t.test('an adaptive limit is worth its part of the throughput, at its multiple of the latency', async (t) => {
  t.strictSame(worth(tried(0, 380, 45), tried(8, 400, 30)), { throughput: 0.95, latency: 1.5 })
})
