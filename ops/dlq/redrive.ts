/**
 * Gives dead letters back to their stage: claim the row, produce, mark the row. A claim that its process did not live to
 * mark is taken over after a minute, so a crash in between costs a second copy in the topic, which the stages' writes
 * absorb; without one, each letter is produced once, whoever else redrives at the same time.
 */
import { randomUUID } from 'node:crypto'
import type { DeadLetterActions, LetterAction } from '../../connectors/postgres/dead-letter-actions.ts'
import { StageError } from '../../streams/errors.ts'
import { redriveHeaders } from '../../streams/runtime/headers.ts'
import type { Clock, OutgoingMessage, Produce } from '../../streams/runtime/ports.ts'
import { createTally } from './tally.ts'
import type { Tally } from './tally.ts'
import type { Found } from './walk.ts'
import type { RedriveOptions, RedriveReport } from './types.ts'

export const DEFAULT_RATE = 10
export const DEFAULT_CYCLES = 3
/** A produce takes half of it at most before it is given up. */
export const CLAIM_MS = 60_000

interface Dependencies {
  /** With its prefix: where the stage reads. Not what the headers name: they may be forged. */
  readonly to: string
  /** The dead-letter topic, with its prefix. */
  readonly topic: string
  readonly actions: DeadLetterActions
  readonly produce: Produce
  readonly clock: Clock
  readonly claimMs: number
}

export function createRedrive(d: Dependencies, options: RedriveOptions) {
  const { actions, topic, clock, claimMs } = d
  const { ratePerSecond = DEFAULT_RATE, maxCycles = DEFAULT_CYCLES, dryRun = false, actor, signal } = options
  const claim = randomUUID()
  const tally = createTally()
  const turn = paced(clock, 1000 / ratePerSecond, signal)

  async function redrive(one: Found): Promise<void> {
    const { letter } = one
    const wish = { action: 'redrive', reason: '', actor, claim, staleMs: claimMs } as const
    if (!(await actions.claim(topic, [letter], wish)).has(letter.key)) {
      const other = (await actions.find(topic, [letter])).get(letter.key)
      return void (isDone(other) ? tally.already() : refuseBusy(tally, letter, other, claimMs))
    }
    try {
      await d.produce([toMessage(d.to, one)])
    } catch (error) {
      await actions.release(topic, letter, claim)
      if (!(error instanceof StageError)) throw error
      return tally.refuse(letter, error.message)
    }
    await actions.done(topic, letter, claim)
    tally.did(letter.code)
    options.onProgress?.(tally.count())
  }

  return {
    /** @returns false: it was interrupted. */
    take: async (found: readonly Found[]): Promise<boolean> => {
      for (const one of found) {
        if (isDone(one.action)) tally.already()
        else if (one.letter.cycle >= maxCycles) tally.refuse(one.letter, spent(one.letter.cycle, maxCycles))
        else if (dryRun) tally.did(one.letter.code)
        else {
          await turn()
          if (signal?.aborted) return false
          await redrive(one)
        }
      }
      return true
    },
    missing: tally.missing,
    report: (): RedriveReport => {
      const { done, ...rest } = tally.report()
      return { redriven: done, ...rest }
    },
  }
}

const isDone = (action: LetterAction | undefined) => action !== undefined && action.doneMs !== null

const spent = (cycle: number, most: number) =>
  `it was redriven ${cycle} times already, and ${most} is the most: mend the cause, then allow more with --max-cycles`

function refuseBusy(tally: Tally, letter: Found['letter'], other: LetterAction | undefined, claimMs: number) {
  const who = other ? `${other.actor} since ${new Date(other.claimedMs).toISOString()}` : 'somebody else'
  tally.refuse(letter, `it is being redriven by ${who}: if that was killed, try again in ${claimMs / 1000} s`)
}

/** By its key, to the partition of its tenant. */
const toMessage = (topic: string, { letter, record }: Found): OutgoingMessage => ({
  ...{ topic, key: record.key, value: record.value },
  headers: redriveHeaders(record.headers, letter.origin.timestampMs),
})

/** Resolves when the next record's turn has come: the first one's has. */
function paced(clock: Clock, gapMs: number, signal: AbortSignal | undefined) {
  let nextMs = clock.now()
  return () =>
    new Promise<void>((resolve) => {
      const waitMs = Math.max(0, nextMs - clock.now())
      // What was missed while the broker was slow is not made up for.
      nextMs = Math.max(nextMs, clock.now()) + gapMs
      if (waitMs === 0 || signal?.aborted) return resolve()
      const cancel = clock.after(waitMs, go)
      function go() {
        cancel()
        signal?.removeEventListener('abort', go)
        resolve()
      }
      signal?.addEventListener('abort', go)
    })
}
