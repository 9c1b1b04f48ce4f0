/** Dead letters: seen, given back to their stage, or put aside. The records themselves stay until retention. */
import { randomUUID } from 'node:crypto'
import { createDeadLetterActions } from '../../connectors/postgres/dead-letter-actions.ts'
import type { LetterAction } from '../../connectors/postgres/dead-letter-actions.ts'
import { deadLetterTopic } from '../../schemas/topics.ts'
import type { ConsumedTopic } from '../../schemas/topics.ts'
import { UserError } from '../../streams/errors.ts'
import { systemClock } from '../../streams/runtime/ports.ts'
import type { Clock } from '../../streams/runtime/ports.ts'
import type { Services } from '../services.ts'
import { stateOf, toAction } from './letter.ts'
import type { Letter } from './letter.ts'
import { createOpenLetters } from './open-letters.ts'
import { previewOf } from './preview.ts'
import { CLAIM_MS, createRedrive } from './redrive.ts'
import { createTally } from './tally.ts'
import type { DeadLetter, DeadLetterFilter, DeadLetters, Preview } from './types.ts'
import { walk } from './walk.ts'

export type * from './types.ts'

/** Characters kept of each text of a value: in a list, and alone. */
const LIST_TEXT = 200
const SHOW_TEXT = 4_000
const DEFAULT_LIMIT = 50

type Needs = Pick<Services, 'config' | 'kafka' | 'codec' | 'db' | 'producer'>

/** @param options for tests: the clock, and how old a claim must be to be taken over. */
export function createDeadLetters(
  { config, kafka, codec, db, producer }: Needs,
  { clock = systemClock, claimMs = CLAIM_MS }: { readonly clock?: Clock; readonly claimMs?: number } = {},
): DeadLetters {
  const actions = createDeadLetterActions(db)
  const prefix = config.topicPrefix
  const at = { kafka: kafka('dead-letters'), prefix, actions }
  const topicOf = (topic: ConsumedTopic) => prefix + deadLetterTopic(topic)
  const openLetters = createOpenLetters(at, clock)

  const list: DeadLetters['list'] = async ({ limit = DEFAULT_LIMIT, all = false, ...filter }) => {
    let matching = 0
    let kept: DeadLetter[] = []
    let oldestMs = -Infinity
    await walk(at, filter, async (found) => {
      for (const { letter, record, action } of found) {
        if (!all && action && action.doneMs !== null) continue
        matching += 1
        if (letter.deadSinceMs < oldestMs) continue
        const preview = await previewOf(codec, filter.topic, record.value, LIST_TEXT)
        kept.push(toDeadLetter(filter.topic, letter, action, preview))
        if (kept.length < 2 * limit) continue
        kept = newest(kept, limit)
        oldestMs = kept.at(-1)!.deadSinceMs
      }
    })
    return { letters: newest(kept, limit), matching }
  }

  const show: DeadLetters['show'] = async (topic, position) => {
    let shown: DeadLetter | undefined
    await walk(at, { topic, at: [position] }, async ([found]) => {
      const { letter, record, action } = found!
      const preview = await previewOf(codec, topic, record.value, SHOW_TEXT)
      shown = toDeadLetter(topic, letter, action, preview)
    })
    if (shown) return shown
    throw new UserError(
      `${topicOf(topic)} has no record at ${position.partition}:${position.offset}`,
      `\`sluice dlq list ${topic} --all\` shows what there is; retention takes records after 30 days.`,
    )
  }

  const redrive: DeadLetters['redrive'] = async (filter, options) => {
    if (!options.dryRun) await producer.connect()
    const { topic } = filter
    const run = createRedrive(
      { to: prefix + topic, topic: topicOf(topic), actions, produce: producer.produce, clock, claimMs },
      options,
    )
    run.missing(await walk({ ...at, signal: options.signal }, filter, run.take))
    if (!options.dryRun) openLetters.forget()
    return run.report()
  }

  const discard: DeadLetters['discard'] = async (filter, { reason, actor, dryRun = false }) => {
    const topic = topicOf(filter.topic)
    const wish = { action: 'discard', reason, actor, claim: randomUUID(), staleMs: claimMs } as const
    const tally = createTally()
    const missing = await walk(at, filter, async (found) => {
      const open = found.filter(({ action }) => action === undefined || action.doneMs === null)
      for (let done = open.length; done < found.length; done += 1) tally.already()
      const letters = open.map(({ letter }) => letter)
      const mine = dryRun ? new Set(letters.map(({ key }) => key)) : await actions.claim(topic, letters, wish)
      for (const letter of letters)
        if (mine.has(letter.key)) tally.did(letter.code)
        else tally.refuse(letter, 'somebody else has taken it meanwhile')
    })
    tally.missing(missing)
    if (!dryRun) openLetters.forget()
    const { done, ...rest } = tally.report()
    return { discarded: done, ...rest }
  }

  return { list, show, redrive, discard, summary: openLetters.summary, close: openLetters.close }
}

const newest = (letters: readonly DeadLetter[], limit: number): DeadLetter[] =>
  [...letters]
    .sort((a, b) => b.deadSinceMs - a.deadSinceMs || a.partition - b.partition || Number(b.offset) - Number(a.offset))
    .slice(0, limit)

function toDeadLetter(
  topic: DeadLetterFilter['topic'],
  letter: Letter,
  action: LetterAction | undefined,
  value: Preview,
): DeadLetter {
  const { partition, offset, tenant, code, message, attempts, cycle, firstFailureMs, deadSinceMs, bytes } = letter
  const { timestampMs: _, ...origin } = letter.origin
  return {
    ...{ topic, partition, offset, tenant, code, message, attempts, cycle, origin, firstFailureMs, deadSinceMs, bytes },
    ...{ state: stateOf(action), action: toAction(action), value },
  }
}
