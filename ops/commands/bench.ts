/** `sluice bench NAME`: a table of the benchmarks; each loads its own modules and reads its own arguments. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { basename, join } from 'node:path'
import { UserError } from '../../streams/errors.ts'
import type { Output } from './output.ts'

interface Benchmark {
  readonly arguments: string
  readonly about: string
  readonly run: (args: readonly string[], output: Output) => Promise<unknown>
}

/** A benchmark that is a program of its own. */
const program = (file: string, usage: string, about: string): Benchmark => ({
  arguments: usage,
  about,
  run: async (args, { json }) => {
    if (json)
      throw new UserError(
        `${basename(file, '.ts')} prints text only`,
        'Leave --json out; `smoothness` and `replay` have it.',
        2,
      )
    const child = spawn(process.execPath, [join(import.meta.dirname, '..', 'bench', file), ...args], {
      stdio: 'inherit',
    })
    const [code] = (await once(child, 'exit')) as [number | null]
    process.exitCode = code ?? 1
  },
})

export const benchmarks: Readonly<Record<string, Benchmark>> = {
  smoothness: {
    arguments: '[--quick] [--only a,b,d1,…] [--postgres] [--out DIR]',
    about: 'what the embeddings API and Postgres see: three ways that people have, and ours, also through events',
    run: async (args, output) => (await import('../bench/smoothness/smoothness.ts')).smoothness(args, output),
  },
  runtime: program(
    'runtime/runtime.ts',
    '[--repetitions N] …',
    'the runtime with a stage that does nothing against a bare loop',
  ),
  'hot-partition': program(
    'runtime/hot-partition.ts',
    '[--pages N] …',
    'pages of one partition beside each other against one by one',
  ),
  idle: program('runtime/idle.ts', '[--seconds N] …', 'CPU of an idle process, with and without limits'),
  adaptive: program(
    'adaptive/adaptive.ts',
    '[--repetitions N] …',
    'requests in flight found by itself against the best fixed number',
  ),
  scale: program(
    'scale/scale.ts',
    '[--pages N] [--vectors N] …',
    'bytes of a page, HNSW builds, leases, on PostgreSQL',
  ),
  rebalance: program('scale/rebalance.ts', '', 'how long a group stands still when a member joins or leaves'),
  replay: {
    arguments: '[--stored N] [--seconds N] [--rounds N] [--postgres]',
    about: 'how much longer live pages take while everything is replayed through another chunker',
    run: async (args, output) => (await import('../bench/replay/replay.ts')).replayBench(args, output),
  },
  extraction: program(
    'extraction.ts',
    '[FOLDER]',
    'main content of labelled pages against Readability: F1, pages a second',
  ),
  chunking: program('chunking.ts', 'FOLDER', 'chunks against a plain recursive splitter: precision, speed'),
  'embeddings-recall': program('embeddings-recall.ts', 'FOLDER', 'rank of the right chunk by the offline vectors'),
  search: program('search.ts', 'TENANT QUESTIONS.json', 'vectors, full text and their fusions side by side'),
}

/** For `--help`, and for a name that is not there. */
export const benchmarkList = (): string =>
  Object.entries(benchmarks)
    .map(([name, { arguments: usage, about }]) => `  ${name} ${usage}\n      ${about}`)
    .join('\n')

export async function bench(name: string, args: readonly string[], output: Output): Promise<void> {
  const benchmark = Object.hasOwn(benchmarks, name) ? benchmarks[name] : undefined
  if (!benchmark) throw new UserError(`no benchmark ${name}`, `There are:\n${benchmarkList()}`, 2)
  await benchmark.run(args, output)
}
