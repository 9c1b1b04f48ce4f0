/**
 * Our runtime with a handler that does nothing, against kafkajs' bare eachBatch loop: the same topic, records, consumer
 * settings and decoding, in turns. `node ops/bench/runtime/runtime.ts`; with `--cpu-prof` and `--bare 0` it profiles ours.
 */
import type { PageProcessed } from '../../../schemas/generated/types.ts'
import { createWorld } from '../../testing/world.ts'
import type { World } from '../../testing/world.ts'
import { runBareLoop } from './bare-loop.ts'
import type { Decode } from './bare-loop.ts'
import { cpuMicroseconds, perSecond } from './measured-run.ts'
import type { Run } from './measured-run.ts'
import { runOurs } from './our-runtime.ts'
import { TENANT } from './pages.ts'
import { gate, readNumbers, runAlone, stdout } from './report.ts'
import type { BenchIo } from './report.ts'
import { formatSpread, spread } from './spread.ts'
import { fill } from './topic.ts'

const PARTITIONS = 12
/** Of what the bare loop does, at the median. */
const LEAST_SHARE = 0.8

/** As many records as keep the bare loop busy for 5 s or more on two cores. */
const defaults = { repetitions: 5, large: 200_000, small: 1_500_000 }

const sizes = [
  { name: 'pages of 4 kB', option: 'large', characters: 4_096 },
  { name: 'pages of 200 B', option: 'small', characters: 40 },
] as const

export async function run(args: readonly string[], io: BenchIo = stdout): Promise<boolean> {
  const options = readNumbers(args, defaults)
  const verdicts: boolean[] = []
  for (const { name, option, characters } of sizes) {
    const world = await createWorld({ partitions: PARTITIONS })
    try {
      const records = options[option]
      const bytes = await fill(world, { records, characters, partitions: PARTITIONS })
      io.print(`${name}: ${records} records, ${Math.round(bytes / records)} bytes each, ${PARTITIONS} partitions`)
      for (const [how, decode] of decoders(world))
        verdicts.push(await compare(world, { name: `${name}, ${how}`, records, decode }, options.repetitions, io))
    } finally {
      await world.close()
    }
  }
  return verdicts.every(Boolean)
}

/** With the codec, and with bytes passed through: the latter shows the runtime's own cost naked. */
function decoders({ services }: World): [string, Decode][] {
  const page = { tenant_id: TENANT }
  return [
    ['decoded', (value) => services.codec.decode('pages.processed', value) as Promise<PageProcessed>],
    ['passed through', () => Promise.resolve(page)],
  ]
}

interface Case {
  readonly name: string
  readonly records: number
  readonly decode: Decode
}

async function compare(world: World, { name, records, decode }: Case, repetitions: number, io: BenchIo) {
  let pages = 0
  const sides = {
    bare: () => runBareLoop(world, { records, decode }),
    ours: () =>
      runOurs(world, {
        records,
        decode,
        // Every page is another one, also where nothing was decoded.
        orderKey: ({ source_id }) => source_id ?? String(pages++),
        handle: () => Promise.resolve({ kind: 'done', reason: 'nothing' }),
        maxInFlight: world.config.chunker.maxInFlight,
      }),
  }
  const runs = await alternate(sides, repetitions)
  for (const side of ['bare', 'ours'] as const)
    io.print(
      `  ${side}  ${formatSpread(spread(runs[side].map(perSecond)), thousands)} records/s, ` +
        `${formatSpread(spread(runs[side].map(cpuMicroseconds)), (us) => us.toFixed(1))} µs of processor each`,
    )
  const ratios = spread(runs.ours.map((run, index) => perSecond(run) / perSecond(runs.bare[index]!)))
  const cpu = spread(runs.ours.map((run, index) => cpuMicroseconds(runs.bare[index]!) / cpuMicroseconds(run)))
  const detail = `${formatSpread(ratios, percent)} of the bare loop's throughput (by processor time ${percent(cpu.median)}), at least ${percent(LEAST_SHARE)} wanted`
  return gate(io, name, ratios.median >= LEAST_SHARE, detail)
}

/** One of each first, unmeasured, so that neither pays for the other's compilation; then in turns. */
async function alternate<Side extends string>(sides: Record<Side, () => Promise<Run>>, repetitions: number) {
  const names = Object.keys(sides) as Side[]
  const runs = Object.fromEntries(names.map((name) => [name, [] as Run[]])) as Record<Side, Run[]>
  for (const name of names) await sides[name]()
  for (let repetition = 0; repetition < repetitions; repetition += 1)
    for (const name of names) runs[name].push(await sides[name]())
  return runs
}

const thousands = (value: number) => `${(value / 1_000).toFixed(1)}k`
const percent = (share: number) => `${(share * 100).toFixed(0)}%`

if (import.meta.main) await runAlone(run)
