/** `sluice bench smoothness`: plays the scenarios, one after the other, and judges what the receivers have logged. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, cpus } from 'node:os'
import { join, resolve } from 'node:path'
import { note, paint, printRows } from '../../commands/output.ts'
import { readConfig } from '../../config.ts'
import type { Config } from '../../config.ts'
import { startStack } from '../../embedded/stack.ts'
import { foreground } from '../../foreground.ts'
import type { Life } from '../../foreground.ts'
import type { PolicyId } from './baselines.ts'
import { startDatabases } from './database.ts'
import { figuresOf } from './figures.ts'
import { gatesOf } from './gates.ts'
import type { GateResult } from './gates.ts'
import { parseOptions } from './options.ts'
import type { SmoothnessOptions } from './options.ts'
import type { Recording } from './recording.ts'
import { columns } from './figures-table.ts'
import { reportPage } from './report.ts'
import type { Measured } from './report.ts'
import { runBaseline } from './run-baseline.ts'
import { runScenario } from './run-scenario.ts'
import { scenarios } from './scenarios.ts'
import type { Surroundings } from './scene.ts'

/** Does next to nothing for six minutes: it runs beside the others, with receivers and a database of its own. */
const BESIDE = 'b'

export function smoothness(args: readonly string[], { json }: { json: boolean }): Promise<never> {
  const config = readConfig()
  const options = parseOptions(args, config.dataDir)
  return foreground(
    async (life) => {
      await mkdir(join(options.out, 'recordings'), { recursive: true })
      if (!options.reportOnly) await playAll(options, config, life)
      const measured = await readRecordings(options)
      await writeReport(measured, options)
      print(measured, options, json)
      if (measured.some(({ gates }) => gates.some(({ met }) => !met))) process.exitCode = 1
    },
    { codeOnSignal: 130 },
  )
}

async function playAll(options: SmoothnessOptions, config: Config, life: Life): Promise<void> {
  const folder = join(options.out, `run-${process.pid}`)
  await mkdir(folder, { recursive: true })
  life.defer('the run’s folder', () => removeData(folder))
  const stack = await startStack({
    ...{ dataDir: join(folder, 'stack'), libDir: config.libDir, parts: ['kafka', 'registry'] },
    onProgress: ({ part, state, elapsedMs }) => note(`${part}: ${state} (${(elapsedMs / 1000).toFixed(1)} s)`),
  })
  life.defer('Kafka and the registry', stack.stop)
  stack.failed.catch((error: Error) => life.fail(error))
  const databases = await startDatabases({ folder, libDir: config.libDir, real: options.postgres })
  life.defer('the databases', databases.stop)
  const { brokers = [], registryUrl = '' } = stack.endpoints
  const onEnd = (close: () => Promise<void>) => life.defer('a scenario', close)
  let cut = false
  void life.stopped.then(() => (cut = true))
  const of = { brokers: brokers.join(','), registryUrl, databases, libDir: config.libDir, say: note, onEnd }
  const play = async (id: string) => {
    const own = join(options.out, 'logs', id)
    await rm(own, { recursive: true, force: true })
    await mkdir(own, { recursive: true })
    await playOne(id, { ...of, folder: own }, options, () => cut)
  }
  const beside = options.only.includes(BESIDE) ? play(BESIDE) : Promise.resolve()
  beside.catch(() => {})
  for (const id of options.only) if (id !== BESIDE) await play(id)
  await beside
}

async function playOne(
  id: string,
  surroundings: Surroundings,
  { only, out }: SmoothnessOptions,
  isCut: () => boolean,
): Promise<void> {
  const began = Date.now()
  note(`${paint('bold', id)} …`)
  const scenario = scenarios.find((one) => one.id === id)
  const recording = scenario
    ? await runScenario(scenario, surroundings)
    : await runBaseline(id as PolicyId, surroundings)
  // Ctrl-C: half a scenario must not take the place of a whole one.
  if (isCut()) return
  await writeFile(join(out, 'recordings', `${id}.json`), JSON.stringify(recording))
  const missed = gatesOf(recording, figuresOf(recording)).filter(({ met }) => !met).length
  const verdict = recording.failure ?? (missed > 0 ? `${missed} gates missed` : 'done')
  note(
    `${paint('bold', id)} ${verdict}, ${((Date.now() - began) / 1000).toFixed(0)} s (${only.indexOf(id) + 1} of ${only.length})`,
  )
}

async function readRecordings({ only, out }: SmoothnessOptions): Promise<Measured[]> {
  const measured: Measured[] = []
  for (const id of only) {
    const text = await readFile(join(out, 'recordings', `${id}.json`), 'utf8').catch(() => undefined)
    if (text === undefined) continue
    const recording = JSON.parse(text) as Recording
    const figures = figuresOf(recording)
    measured.push({ recording, figures, gates: gatesOf(recording, figures) })
  }
  return measured
}

async function writeReport(measured: readonly Measured[], { out }: SmoothnessOptions): Promise<void> {
  const about = {
    date: new Date().toISOString().slice(0, 16).replace('T', ' '),
    database: [...new Set(measured.map(({ recording }) => recording.database))].join(' and '),
    machine: `${availableParallelism()} × ${cpus()[0]?.model ?? 'CPU'}, all processes on it`,
  }
  await writeFile(join(out, 'report.html'), reportPage(measured, about))
  const figures = measured.map(({ figures, gates }) => ({ ...figures, gates }))
  await writeFile(join(out, 'figures.json'), JSON.stringify(figures, null, 2))
}

function print(measured: readonly Measured[], { out }: SmoothnessOptions, json: boolean): void {
  const report = resolve(out, 'report.html')
  if (json)
    return printRows([...measured.map(({ figures, gates }) => ({ ...figures, gates })), { report }], { json }, () => '')
  const heads = ['scenario', ...columns.map(({ heading }) => heading)]
  const rows = measured.map(({ figures }) => [figures.id, ...columns.map(({ value }) => value(figures))])
  const gates = measured.flatMap((one) => one.gates)
  const missed = gates.filter(({ met }) => !met)
  const lines = ['', ...table([heads, ...rows]), '', `${gates.length - missed.length} of ${gates.length} gates met`]
  process.stdout.write(`${[...lines, ...missed.map(missedLine), '', `report: ${report}`].join('\n')}\n`)
}

const missedLine = ({ scenario, gate, value, bound, why }: GateResult) =>
  `  ${paint('red', 'missed', process.stdout)}  ${scenario}: ${gate} ${value}, bound ${bound}${why && ` (${why})`}`

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join('  '),
  )
}

/** A server that still writes while its folder goes would fail the removal. */
const removeData = (folder: string) => rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
