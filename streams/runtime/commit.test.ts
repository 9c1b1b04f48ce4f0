import t from 'tap'
import { createFakeClock } from '../../ops/testing/fake-clock.ts'
import { deferred, fakeAssignment, fakeLogger, fakePayload, partition } from '../../ops/testing/runtime-fakes.ts'
import type { Assignment } from './assignments.ts'
import { createCommitter } from './commit.ts'

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
function setup(flush: (assignment: Assignment) => Promise<boolean> = async () => true) {
  const clock = createFakeClock()
  return {
    clock,
    committer: createCommitter({ flush, consumer: { commitOffsets: async () => {} }, clock, logger: fakeLogger() }),
  }
}

void t.test('what was taken in is fetched past; what is settled is committed once, a moment later', async (t) => {
  const { clock, committer } = setup()
  const assignment = worked(4)
  const { payload, committed, resolved } = fakePayload({ messages })
  committer.fetched(assignment, payload)
  t.strictSame([committed, resolved], [[], [9n]])
  committer.settled(assignment)
  committer.settled(assignment)
  await clock.advance(10_000)
  t.strictSame(committed, [4n])
})

void t.test('partitions that are due together go in one request', async (t) => {
  const { clock, committer } = setup()
  let requests = 0
  const { payload } = fakePayload({ messages })
  committer.fetched(worked(0), {
    ...payload,
    commitOffsetsIfNecessary: async (offsets) => {
      requests += 1
      t.strictSame(offsets, {
        topics: [
          {
            topic: 'pages.crawled',
            partitions: [
              { partition: 0, offset: '4' },
              { partition: 1, offset: '2' },
            ],
          },
          { topic: 'pages.crawled.retry', partitions: [{ partition: 0, offset: '1' }] },
        ],
      })
    },
  })
  committer.settled(worked(4))
  committer.settled(worked(2, { at: partition(1) }))
  committer.settled(worked(1, { at: partition(0, 'pages.crawled.retry') }))
  await clock.advance(1_000)
  t.equal(requests, 1)
})

void t.test('nothing is committed or resolved for a partition that was lost', async (t) => {
  const { clock, committer } = setup()
  const assignment = worked(4, { alive: false })
  const { payload, committed, resolved } = fakePayload({ messages })
  committer.fetched(assignment, payload)
  committer.settled(assignment)
  await clock.advance(1_000)
  t.strictSame([committed, resolved], [[], []])
})

void t.test(
  'with a ledger, what is committed never passes it; one that is ahead (a replay) holds nothing back',
  async (t) => {
    for (const [ledger, expected] of [
      [900n, 4n],
      [2n, 2n],
    ] as const) {
      const { clock, committer } = setup()
      const assignment = worked(4, { ledger })
      const { payload, committed } = fakePayload({ messages })
      committer.fetched(assignment, payload)
      committer.settled(assignment)
      await clock.advance(1_000)
      t.strictSame(committed, [expected])
    }
  },
)

void t.test('the flush brings the ledger up, and the commit follows it', async (t) => {
  const { clock, committer } = setup(async (one) => {
    one.ledger = one.watermark.next()
    return true
  })
  const assignment = worked(4, { ledger: 0n })
  const { payload, committed } = fakePayload({ messages })
  committer.fetched(assignment, payload)
  committer.settled(assignment)
  await clock.advance(1_000)
  t.strictSame(committed, [4n])
})

void t.test('a flush or commit that failed is made up for, though no record follows', async (t) => {
  let [flushes, refusals] = [0, 0]
  const { clock, committer } = setup(async (one) => {
    flushes += 1
    if (flushes === 1) return false
    one.ledger = one.watermark.next()
    return true
  })
  const assignment = worked(4, { ledger: 0n })
  const { payload, committed } = fakePayload({
    messages,
    commit: () => {
      refusals += 1
      if (refusals === 1) throw new Error('coordinator is loading')
    },
  })
  committer.fetched(assignment, payload)
  committer.settled(assignment)
  await clock.advance(900)
  t.strictSame([flushes, committed], [1, []])
  await clock.advance(5_000)
  t.strictSame([refusals, committed], [2, [4n]])
})

void t.test('an answer that asks to join again is told once, and not after the group was joined', async (t) => {
  const { clock, committer } = setup()
  const assignment = worked(4)
  const lost = Object.assign(new Error('moved on'), { type: 'ILLEGAL_GENERATION' })
  committer.fetched(assignment, fakePayload({ messages, commit: () => Promise.reject(lost) }).payload)
  committer.settled(assignment)
  await clock.advance(300)
  t.equal(committer.asksToRejoin(), lost)
  t.equal(committer.asksToRejoin(), undefined, 'else each join would be followed by another, for ever')
  await clock.advance(1_000)
  committer.joined()
  t.equal(committer.asksToRejoin(), undefined)
})

void t.test('a commit that failed for another reason asks nobody to join again', async (t) => {
  const { clock, committer } = setup()
  const assignment = worked(4)
  committer.fetched(assignment, fakePayload({ messages, commit: () => Promise.reject(new Error('timeout')) }).payload)
  committer.settled(assignment)
  await clock.advance(2_000)
  t.equal(committer.asksToRejoin(), undefined)
})

void t.test('at a drain all that is settled is committed, also behind a commit that is under way', async (t) => {
  const { clock, committer } = setup()
  const answer = deferred()
  const assignment = worked(2)
  let slow = true
  const { payload, committed } = fakePayload({ messages, commit: () => (slow ? answer.promise : undefined) })
  committer.fetched(assignment, payload)
  committer.settled(assignment)
  await clock.advance(300)
  for (const offset of [2n, 3n]) {
    assignment.watermark.begin(offset)
    assignment.watermark.finish(offset)
  }
  committer.settled(assignment)
  const now = committer.commitNow()
  slow = false
  answer.resolve()
  t.ok(await now)
  t.strictSame(committed, [2n, 4n])
})

void t.test('the offset of a halted partition is put back until it works, or the partition is lost', async (t) => {
  let refusals = 2
  const { clock, committer } = setup()
  const { payload, committed } = fakePayload({
    messages,
    commit: () => {
      refusals -= 1
      if (refusals >= 0) throw new Error('coordinator is loading')
    },
  })
  const assignment = worked(4)
  committer.recommit(assignment, payload)
  await clock.advance(10_000)
  t.strictSame([committed, clock.pending()], [[4n], 0])
  refusals = Infinity
  committer.recommit(assignment, payload)
  await clock.advance(5_000)
  assignment.alive = false
  await clock.advance(2_000)
  t.equal(clock.pending(), 0)
})
