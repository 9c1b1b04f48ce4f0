/**
 * What one idle process of `sluice run processor chunker` costs: its processor time over a while with nothing to do, with
 * and without budgets over the fleet, whose leases are renewed all the time. `node ops/bench/runtime/idle.ts`.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { createWorld } from '../../testing/world.ts'
import type { World } from '../../testing/world.ts'
import { processorMs } from './processor-time.ts'
import { gate, readNumbers, runAlone, stdout } from './report.ts'
import type { BenchIo } from './report.ts'
import { formatSpread, spread } from './spread.ts'

const MOST_SHARE = 0.01

/** Of one core. A process is idle once joining, compiling and its first collection of garbage are over. */
const defaults = { repetitions: 3, seconds: 20, 'settle-seconds': 15 }

/** Far above what an idle process takes: its leases are renewed, nothing waits. */
const budgets = {
  EMBEDDING_REQUESTS_PER_MINUTE: '3000',
  EMBEDDING_TOKENS_PER_MINUTE: '1000000',
  EMBEDDING_MAX_IN_FLIGHT: '16',
  DATABASE_MAX_IN_FLIGHT: '16',
  PAGES_PER_SECOND: '50',
}
const cases = { 'no limits set': {}, 'with budgets': budgets }

export async function run(args: readonly string[], io: BenchIo = stdout): Promise<boolean> {
  const options = readNumbers(args, defaults)
  const world = await createWorld({ partitions: 12 })
  const shares = Object.fromEntries(Object.keys(cases).map((name) => [name, [] as number[]]))
  try {
    for (let repetition = 0; repetition < options.repetitions; repetition += 1)
      for (const [name, extra] of Object.entries(cases)) shares[name]!.push(await idleShare(world, extra, options))
  } finally {
    await world.close()
  }
  return Object.entries(shares)
    .map(([name, measured]) => {
      const detail = `${formatSpread(spread(measured), percent)} of a core, at most ${percent(MOST_SHARE)} wanted`
      return gate(io, `an idle process, ${name}`, spread(measured).median <= MOST_SHARE, detail)
    })
    .every(Boolean)
}

async function idleShare(
  world: World,
  extra: Record<string, string>,
  { seconds, 'settle-seconds': settleSeconds }: typeof defaults,
): Promise<number> {
  const stages = await world.spawnStages(['processor', 'chunker'], extra)
  try {
    await sleep(settleSeconds * 1_000)
    const before = { cpuMs: processorMs(stages.pid), atMs: performance.now() }
    await sleep(seconds * 1_000)
    return (processorMs(stages.pid) - before.cpuMs) / (performance.now() - before.atMs)
  } finally {
    await stages.end('SIGTERM')
  }
}

const percent = (share: number) => `${(share * 100).toFixed(2)}%`

if (import.meta.main) await runAlone(run)
