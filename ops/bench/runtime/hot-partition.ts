/**
 * One partition holds all the work, 1,000 pages of 5 ms each: our runtime against strict partition order, which is the
 * same loop with one order key for all. `node ops/bench/runtime/hot-partition.ts`.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { PageProcessed } from '../../../schemas/generated/types.ts'
import type { Outcome } from '../../../streams/outcome.ts'
import { createWorld } from '../../testing/world.ts'
import type { Run } from './measured-run.ts'
import { runOurs } from './our-runtime.ts'
import { gate, readNumbers, runAlone, stdout } from './report.ts'
import type { BenchIo } from './report.ts'
import { formatSpread, spread } from './spread.ts'
import { fill } from './topic.ts'

/** Confluent's Parallel Consumer publishes 10.8 for its own such case. */
const LEAST_FACTOR = 10
const CHARACTERS = 4_096

const defaults = { repetitions: 5, pages: 1_000, 'handler-ms': 5 }

export async function run(args: readonly string[], io: BenchIo = stdout): Promise<boolean> {
  const { repetitions, pages, 'handler-ms': handlerMs } = readNumbers(args, defaults)
  const world = await createWorld({ partitions: 12 })
  const decode = (value: Buffer) => world.services.codec.decode('pages.processed', value) as Promise<PageProcessed>
  const handle = async (): Promise<Outcome> => {
    await sleep(handlerMs)
    return { kind: 'done', reason: 'slept' }
  }
  const { maxInFlight } = world.config.chunker
  const common = { records: pages, decode, handle, maxInFlight }
  try {
    await fill(world, { records: pages, characters: CHARACTERS, partitions: 1 })
    io.print(`${pages} pages in one partition, ${handlerMs} ms each, at most ${maxInFlight} in flight`)
    const strict: Run[] = []
    const ours: Run[] = []
    for (let repetition = 0; repetition < repetitions; repetition += 1) {
      strict.push(await runOurs(world, { ...common, orderKey: () => 'all' }))
      ours.push(await runOurs(world, { ...common, orderKey: ({ source_id }) => source_id }))
    }
    io.print(`  in strict order  ${times(strict)}`)
    io.print(`  page by page     ${times(ours)}`)
    const factors = spread(ours.map(({ ms }, index) => strict[index]!.ms / ms))
    const detail = `${formatSpread(factors, (factor) => `${factor.toFixed(1)}x`)} faster than strict order, at least ${LEAST_FACTOR}x wanted`
    return gate(io, 'a hot partition', factors.median >= LEAST_FACTOR, detail)
  } finally {
    await world.close()
  }
}

const times = (runs: readonly Run[]) => formatSpread(spread(runs.map(({ ms }) => ms)), (ms) => `${ms.toFixed(0)} ms`)

if (import.meta.main) await runAlone(run)
