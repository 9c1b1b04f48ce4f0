/**
 * Adaptive limits that nobody has set, against the best of the fixed ones, found by a sweep of the same dependency in the
 * same run: `node ops/bench/adaptive/adaptive.ts`.
 */
import { gate, readNumbers, runAlone, stdout } from '../runtime/report.ts'
import type { BenchIo } from '../runtime/report.ts'
import { formatSpread, spread } from '../runtime/spread.ts'
import { dependencies } from './dependencies.ts'
import type { Dependency } from './dependencies.ts'
import { drive } from './load.ts'
import type { Figures, Send } from './load.ts'
import { bestFixed, worth } from './sweep.ts'
import type { Tried, Worth } from './sweep.ts'

const LIMITS = [1, 2, 4, 8, 16, 32]
const LEAST_THROUGHPUT = 0.95
const MOST_LATENCY = 1.5

/** An adaptive limit probes now and then: its time is long enough to hold several probes. */
const defaults = { repetitions: 3, 'fixed-seconds': 4, 'warm-seconds': 5, 'adaptive-seconds': 20 }

export async function run(args: readonly string[], io: BenchIo = stdout): Promise<boolean> {
  const options = readNumbers(args, defaults)
  const verdicts: boolean[] = []
  for (const dependency of dependencies) verdicts.push(await measure(dependency, options, io))
  return verdicts.every(Boolean)
}

async function measure(dependency: Dependency, options: typeof defaults, io: BenchIo): Promise<boolean> {
  const { send, stop } = await dependency.start()
  const worths: Worth[] = []
  try {
    io.print(`${dependency.name}`)
    for (let repetition = 0; repetition < options.repetitions; repetition += 1)
      worths.push(await compare(dependency, send, options, io))
  } finally {
    await stop()
  }
  const throughput = spread(worths.map((one) => one.throughput))
  const latency = spread(worths.map((one) => one.latency))
  const holds = throughput.median >= LEAST_THROUGHPUT && latency.median <= MOST_LATENCY
  const detail =
    `${formatSpread(throughput, percent)} of the best fixed limit's throughput, at least ${percent(LEAST_THROUGHPUT)} wanted; ` +
    `${formatSpread(latency, times)} its p99, at most ${times(MOST_LATENCY)} wanted`
  return gate(io, dependency.name, holds, detail)
}

/** The sweep up to the best limit's neighbours and the adaptive limit, one after the other. */
async function compare({ adaptive }: Dependency, send: Send, options: typeof defaults, io: BenchIo): Promise<Worth> {
  const tried: Tried[] = []
  for (const limit of LIMITS) {
    const figures = await drive({ fixed: limit }, { send, warmMs: 500, forMs: options['fixed-seconds'] * 1_000 })
    tried.push({ ...figures, limit })
    io.print(`  ${String(limit).padStart(8)}  ${line(figures)}`)
  }
  const found = await drive(
    { adaptive: adaptive() },
    { send, warmMs: options['warm-seconds'] * 1_000, forMs: options['adaptive-seconds'] * 1_000 },
  )
  const best = bestFixed(tried)
  io.print(`  adaptive  ${line(found)}; the best fixed limit is ${best.limit}`)
  return worth(found, best)
}

const line = ({ throughput, p99Ms, refused, inFlight }: Figures) =>
  `${throughput.toFixed(0)}/s, p99 ${p99Ms.toFixed(1)} ms, ${percent(refused)} refused, ${inFlight.toFixed(1)} in flight`
const percent = (share: number) => `${(share * 100).toFixed(1)}%`
const times = (factor: number) => `${factor.toFixed(2)}x`

if (import.meta.main) await runAlone(run)
