/** `sluice lag`: how far each group is behind, for how long, and why. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { createControlChannel } from '../../connectors/kafka/control.ts'
import { UserError, errorMessage } from '../../streams/errors.ts'
import { createLagSource } from '../lag/source.ts'
import type { LagRow } from '../lag/source.ts'
import { byAge, columns, summaries } from '../lag/table.ts'
import type { Services } from '../services.ts'
import { describeError } from './hints.ts'
import { tableLines } from './output-table.ts'
import { note, printRows } from './output.ts'
import type { Output } from './output.ts'
import { withServices } from './with-services.ts'

export interface LagOptions extends Output {
  readonly watch?: boolean | undefined
}

const WATCH_MS = 2_000
/** Without the registry the commands cannot be read; the rest is still worth showing. */
const CONTROL_MS = 8_000

/** With `watch`, until Ctrl-C: redrawn at a terminal, printed again elsewhere. @throws when no broker answers at first. */
export async function lag({ watch = false, json }: LagOptions): Promise<void> {
  await withServices(['kafka', 'registry', 'postgres'], async (services) => {
    const stopped = new AbortController()
    if (watch) for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopped.abort())
    const control = openControl(services)
    const source = createLagSource(services, { control: control.state, cacheMs: 0 })
    try {
      await control.ready
      const draw = (rows: LagRow[]) =>
        json ? printJson(rows) : watch && process.stdout.isTTY ? redraw(rows) : print(rows)
      draw(await source.rows())
      while (watch && (await pause(stopped.signal))) await again(source.rows, draw)
    } finally {
      await Promise.all([source.close(), control.close()])
    }
  })
}

/** The broker may be away for a while: what watches it goes on. */
async function again(rows: () => Promise<LagRow[]>, draw: (rows: LagRow[]) => void): Promise<void> {
  try {
    draw(await rows())
  } catch (error) {
    note(`lag is not known: ${describeError(error).message}`)
  }
}

/** @returns false: it was ended. */
const pause = (signal: AbortSignal) => sleep(WATCH_MS, true, { signal }).catch(() => false)

/** Commands in force, as far as they can be read. */
function openControl({ kafka, codec, config, logger, producer }: Services) {
  const channel = createControlChannel({
    ...{ kafka: kafka('control'), topic: `${config.topicPrefix}pipeline.control`, logger, instance: randomUUID() },
    produce: producer.produce,
    encode: (value) => codec.encode('pipeline.control', value),
    decode: (value) => codec.decode('pipeline.control', value),
  })
  let isRead = false
  const late = sleep(CONTROL_MS, undefined, { ref: false }).then(() => {
    throw new Error(`not read within ${CONTROL_MS / 1000} s`)
  })
  const ready = Promise.race([channel.start(), late]).then(
    () => {
      isRead = true
    },
    (error: unknown) => {
      if (error instanceof UserError) throw error
      note(`commands in force are not known, pauses among them: ${errorMessage(error)}`)
    },
  )
  return { ready, state: () => (isRead ? channel.state() : null), close: channel.close }
}

/** Names and order are public. */
function printJson(rows: readonly LagRow[]): void {
  const shown = rows.map(({ group, topic, partition, committed, end, lag, oldestAgeMs, state, reasons, etaMs }) => ({
    ...{ group, topic, partition, committed, end, lag, oldestAgeMs, state, reasons, etaMs },
  }))
  printRows(shown, { json: true }, () => '')
}

function print(rows: readonly LagRow[]): void {
  process.stdout.write(`${[...tableLines(byAge(rows).map(columns)), ...summaries(rows)].join('\n')}\n`)
}

/** From the top of the screen, and no longer than it: what has waited longest is what one looks for. */
function redraw(rows: readonly LagRow[]): void {
  const below = ['', ...summaries(rows)]
  const lines = tableLines(byAge(rows).map(columns))
  const room = Math.max(2, process.stdout.rows - below.length - 2)
  const cut = lines.length > room ? [...lines.slice(0, room), `… ${lines.length - room} more`] : lines
  process.stdout.write(`\u001b[H\u001b[J${[...cut, ...below].join('\n')}\n`)
}
