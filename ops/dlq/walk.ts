/** Goes through the dead letters that a filter names, batch by batch, each with what was decided about it. */
import type { Admin, Kafka } from 'kafkajs'
import { fetchBounds } from '../../connectors/kafka/bounds.ts'
import type { DeadLetterActions, LetterAction } from '../../connectors/postgres/dead-letter-actions.ts'
import { deadLetterTopic } from '../../schemas/topics.ts'
import { matches, readLetter } from './letter.ts'
import type { Letter } from './letter.ts'
import { scan } from './scan.ts'
import type { Range, ScannedRecord } from './scan.ts'
import type { DeadLetterFilter, Position } from './types.ts'

export interface Found {
  readonly letter: Letter
  readonly record: ScannedRecord
  /** undefined: open. */
  readonly action: LetterAction | undefined
}

interface Walk {
  readonly kafka: Kafka
  readonly prefix: string
  readonly actions: DeadLetterActions
  readonly signal?: AbortSignal | undefined
}

/**
 * Up to the end as it is at the start: what comes back while it runs is not met again. A record's second copy is left out.
 * @returns the positions asked for at which there is no record.
 */
export async function walk(
  { kafka, prefix, actions, signal }: Walk,
  filter: DeadLetterFilter,
  onLetters: (found: readonly Found[]) => Promise<boolean | void>,
): Promise<readonly Position[]> {
  const topic = prefix + deadLetterTopic(filter.topic)
  const seen = new Set<string>()
  const missing = new Set(filter.at)
  await scan({
    ...{ kafka, topic, signal },
    ranges: rangesOf(await boundsOf(kafka, topic), filter.at),
    onBatch: async (records) => {
      for (const one of missing)
        if (records.some(({ partition, offset }) => partition === one.partition && offset === one.offset))
          missing.delete(one)
      const wanted = records
        .map((record) => ({ record, letter: readLetter(topic, record) }))
        .filter(({ letter }) => matches(letter, filter))
        .filter(({ letter }) => !seen.has(letter.key) && seen.add(letter.key))
      if (wanted.length === 0) return true
      const letters = wanted.map(({ letter }) => letter)
      const decided = await actions.find(topic, letters)
      return onLetters(wanted.map((one) => ({ ...one, action: decided.get(one.letter.key) })))
    },
  })
  return [...missing]
}

async function boundsOf(kafka: Kafka, topic: string): Promise<Range[]> {
  return withAdmin(kafka, async (admin) =>
    (await fetchBounds(admin, topic)).map(({ partition, low, high }) => ({ partition, from: low, to: high })),
  )
}

export async function withAdmin<T>(kafka: Kafka, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafka.admin()
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}

/** With positions given, only what lies between the first and the last of each partition is read. */
function rangesOf(bounds: readonly Range[], at: readonly Position[] | undefined): Range[] {
  if (!at) return [...bounds]
  return bounds.map(({ partition, from, to }) => {
    const offsets = at.filter((one) => one.partition === partition && one.offset >= from && one.offset < to)
    if (offsets.length === 0) return { partition, from: to, to }
    const sorted = offsets.map(({ offset }) => offset).sort((a, b) => (a < b ? -1 : 1))
    return { partition, from: sorted[0]!, to: sorted.at(-1)! + 1n }
  })
}
