/** `sluice dlq list | show | redrive | discard`: what failed for good, and what becomes of it. */
import { consumedTopics } from '../../schemas/topics.ts'
import type { ConsumedTopic } from '../../schemas/topics.ts'
import { UserError } from '../../streams/errors.ts'
import { createDeadLetters } from '../dlq/dead-letters.ts'
import type { DeadLetter, DeadLetterFilter, DeadLetters } from '../dlq/dead-letters.ts'
import { issuer } from '../operator.ts'
import { parsePosition } from '../replay/positions.ts'
import { columns, describe, refusals, sentence } from './dlq-output.ts'
import { printTable } from './output-table.ts'
import { note, printRows } from './output.ts'
import type { Output } from './output.ts'
import { withServices } from './with-services.ts'

export interface Filters {
  readonly tenant?: string
  readonly code?: string
  /** A time, or how long ago. */
  readonly since?: string
}

/** Without a topic: of all of them. NDJSON: one dead letter a line, newest first. */
export async function list(
  topic: ConsumedTopic | undefined,
  { limit = 50, all = false, json, ...filters }: Output & Filters & { limit?: number; all?: boolean },
): Promise<void> {
  const filter = filterOf(filters)
  await withDeadLetters(async (dlq) => {
    const letters: DeadLetter[] = []
    let matching = 0
    for (const one of topic ? [topic] : consumedTopics) {
      const found = await dlq.list({ ...filter, topic: one, limit, all })
      letters.push(...found.letters)
      matching += found.matching
    }
    const shown = letters.sort((a, b) => b.deadSinceMs - a.deadSinceMs).slice(0, limit)
    printTable(shown, { json }, columns)
    if (matching > shown.length) note(`${shown.length} of ${matching}, the newest; --limit shows more`)
    if (matching === 0) note(all ? 'no dead letters match' : 'no open dead letters match; --all shows decided ones too')
  })
}

/** @param at PARTITION:OFFSET in the dead-letter topic. */
export async function show(topic: ConsumedTopic, at: string, { json }: Output): Promise<void> {
  const position = positionOf(at)
  await withDeadLetters(async (dlq) => {
    printRows([await dlq.show(topic, position)], { json }, describe)
  })
}

export interface RedriveWish extends Output, Filters {
  readonly rate?: number
  readonly maxCycles?: number
  readonly dryRun?: boolean
  readonly yes?: boolean
}

/** Without `yes` it only says what would be done. Ctrl-C ends it after the record under way; said again, it goes on. */
export async function redrive(topic: ConsumedTopic, at: readonly string[], wish: RedriveWish): Promise<void> {
  const filter = { ...filterOf(wish), topic, at: positionsOf(at) }
  const dryRun = wish.dryRun === true || wish.yes !== true
  const stopped = new AbortController()
  const stop = () => stopped.abort()
  process.once('SIGINT', stop).once('SIGTERM', stop)
  await withDeadLetters(async (dlq) => {
    const report = await dlq.redrive(filter, {
      ...{ ratePerSecond: wish.rate, maxCycles: wish.maxCycles, dryRun, actor: issuer(), signal: stopped.signal },
      onProgress: (count) => count % 100 === 0 && note(`${count} redriven`),
    })
    printRows([{ topic, dryRun, ...report }], wish, () =>
      sentence(dryRun ? 'would be redriven' : 'redriven', report.redriven, report),
    )
    refusals(topic, report, wish)
    if (stopped.signal.aborted) interrupted()
    else if (dryRun && !wish.dryRun && report.redriven > 0) note('nothing was changed: say it again with --yes')
  })
}

export interface DiscardWish extends Output, Filters {
  readonly reason?: string
  readonly yes?: boolean
}

export async function discard(topic: ConsumedTopic, at: readonly string[], wish: DiscardWish): Promise<void> {
  const reason = wish.reason?.trim() ?? ''
  if (reason === '') throw new UserError('why?', 'Say it with --reason "…": it is kept with the letters.', 2)
  const filter = { ...filterOf(wish), topic, at: positionsOf(at) }
  const dryRun = wish.yes !== true
  await withDeadLetters(async (dlq) => {
    const report = await dlq.discard(filter, { reason, actor: issuer(), dryRun })
    printRows([{ topic, dryRun, ...report }], wish, () =>
      sentence(dryRun ? 'would be discarded' : 'discarded', report.discarded, report),
    )
    refusals(topic, report, wish)
    if (dryRun && report.discarded > 0) note('nothing was changed: say it again with --yes')
  })
}

// --- what is meant

function filterOf({ tenant, code, since }: Filters): Omit<DeadLetterFilter, 'topic'> {
  const position = since === undefined ? undefined : parsePosition(since, '--since')
  if (position && position.kind !== 'time')
    throw new UserError(`--since: "${since}" is no time`, 'For example 2026-01-31T09:30:00Z, or how long ago: 6h', 2)
  return { tenant, code, sinceMs: position?.ms }
}

/** undefined: no position is named, all are meant. */
const positionsOf = (at: readonly string[]) => (at.length > 0 ? at.map(positionOf) : undefined)

function positionOf(text: string) {
  const found = /^(\d{1,9}):(\d{1,18})$/.exec(text)
  if (!found) throw new UserError(`"${text}" is no position`, 'PARTITION:OFFSET, as `sluice dlq list` shows it.', 2)
  return { partition: Number(found[1]), offset: BigInt(found[2]!) }
}

const withDeadLetters = (work: (dlq: DeadLetters) => Promise<void>): Promise<void> =>
  withServices(['kafka', 'registry', 'postgres'], async (services) => {
    const dlq = createDeadLetters(services)
    await work(dlq).finally(dlq.close)
  })

function interrupted(): void {
  process.exitCode = 130
  note('interrupted; said again, it goes on where it was')
}
