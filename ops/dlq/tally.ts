/** What became of the letters that a redrive or a discard met: counts, and the first refusals word by word. */
import type { Letter } from './letter.ts'
import type { Position, Refusal } from './types.ts'

const MAX_REFUSALS = 100

export type Tally = ReturnType<typeof createTally>

export function createTally() {
  const byCode = new Map<string, number>()
  const refusals: Refusal[] = []
  const counts = { done: 0, alreadyDone: 0, refused: 0 }
  const refuse = ({ partition, offset }: Pick<Letter, 'partition' | 'offset'>, reason: string) => {
    counts.refused += 1
    if (refusals.length < MAX_REFUSALS) refusals.push({ at: `${partition}:${offset}`, reason })
  }
  return {
    did: (code: string) => {
      counts.done += 1
      byCode.set(code, (byCode.get(code) ?? 0) + 1)
    },
    already: () => void (counts.alreadyDone += 1),
    refuse,
    missing: (positions: readonly Position[]) => {
      for (const { partition, offset } of positions)
        refuse({ partition, offset: String(offset) }, 'there is no such record: never was, or retention has taken it')
    },
    count: () => counts.done,
    report: () => ({ ...counts, byCode: Object.fromEntries(byCode), refusals }),
  }
}
