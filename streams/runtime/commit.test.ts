import t from 'tap'
import { fakeAssignment, fakePayload } from '../../ops/testing/runtime-fakes.ts'
import type { Assignment } from './assignments.ts'
import { asksToRejoin, commitProgress } from './commit.ts'

const messages = Array.from({ length: 10 }, (_, offset) => ({ offset }))
/** An assignment that has finished its first `count` records. */
function worked(count: number, overrides: Partial<Assignment> = {}) {
  const assignment = fakeAssignment(overrides)
  for (let offset = 0n; offset < BigInt(count); offset += 1n) {
    assignment.watermark.begin(offset)
    assignment.watermark.finish(offset)
  }
  return assignment
}

void t.test('progress is committed and resolved once; without progress nothing is sent', async (t) => {
  const assignment = worked(4)
  const { payload, committed, resolved } = fakePayload({ messages })
  t.equal(await commitProgress(assignment, payload), undefined)
  t.equal(await commitProgress(assignment, payload), undefined)
  t.strictSame(committed, [4n])
  t.ok(resolved.every((offset) => offset === 3n))
})

void t.test('nothing is committed or resolved for a partition that was lost', async (t) => {
  const { payload, committed, resolved } = fakePayload({ messages })
  await commitProgress(worked(4, { alive: false }), payload)
  t.strictSame([committed, resolved], [[], []])
})

void t.test(
  'a partition lost during the commit is not resolved: kafkajs throws for what is not assigned',
  async (t) => {
    const assignment = worked(4)
    const { payload, resolved } = fakePayload({ messages, commit: () => void (assignment.alive = false) })
    await commitProgress(assignment, payload)
    t.strictSame(resolved, [])
  },
)

void t.test('the fetch position never goes back before the batch', async (t) => {
  const assignment = worked(4, { committed: 4n })
  const { payload, resolved } = fakePayload({ messages: [{ offset: 4 }] })
  await commitProgress(assignment, payload)
  t.strictSame(resolved, [])
})

void t.test('a ledger that is ahead (a replay) holds nothing back; one that is behind does', async (t) => {
  for (const [ledger, expected] of [
    [900n, 4n],
    [2n, 2n],
  ] as const) {
    const { payload, committed } = fakePayload({ messages })
    await commitProgress(worked(4, { ledger }), payload)
    t.strictSame(committed, [expected])
  }
})

void t.test('a failed commit is told and can be tried again; its errors say whether to join again', async (t) => {
  const assignment = worked(4)
  const lost = Object.assign(new Error('moved on'), { type: 'ILLEGAL_GENERATION' })
  const refused = fakePayload({ messages, commit: () => Promise.reject(lost) })
  t.equal(await commitProgress(assignment, refused.payload), lost)
  t.ok(asksToRejoin(lost))
  for (const error of [new Error('timeout'), null, undefined, 'text']) t.notOk(asksToRejoin(error))
  const { payload, committed } = fakePayload({ messages })
  await commitProgress(assignment, payload)
  t.strictSame(committed, [4n])
})
