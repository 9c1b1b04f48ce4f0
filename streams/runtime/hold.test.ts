import t from 'tap'
import { createFakeClock } from '../../ops/testing/fake-clock.ts'
import { deferred, fakeAssignment } from '../../ops/testing/runtime-fakes.ts'
import { createHold, heldMs, isHeld, whileHeld, workFor } from './hold.ts'
import { createWriter } from './writer.ts'

void t.test('time at gates is counted once, however many of them a record stands at', async (t) => {
  const clock = createFakeClock()
  const hold = createHold(clock)
  const [first, second] = [deferred(), deferred()]
  const both = workFor([hold], () => Promise.all([first, second].map(({ promise }) => whileHeld(() => promise))))
  await clock.advance(100)
  first.resolve()
  await clock.advance(50)
  t.ok(isHeld(hold))
  second.resolve()
  await both
  await clock.advance(1_000)
  t.notOk(isHeld(hold))
  t.equal(heldMs(hold), 150)
})

void t.test(
  'a record that waits for its transaction, or whose transaction stands at a gate, is not working',
  async (t) => {
    const clock = createFakeClock()
    const [first, second, third] = [createHold(clock), createHold(clock), createHold(clock)]
    const [passes, hangs] = [deferred(), deferred()]
    let calls = 0
    const writer = createWriter({
      group: 'g',
      concurrency: () => 1,
      store: {
        claim: async () => new Map(),
        transact: async (_group, writes) => {
          calls += 1
          await (calls === 1 ? hangs.promise : whileHeld(() => passes.promise))
          return writes.map(() => ({}) as never)
        },
      },
    })
    const write = (hold: typeof first, offset: bigint) =>
      workFor([hold], () => writer.write(fakeAssignment(), offset, { type: 'page', rows: [] } as never))
    const all = [write(first, 0n), write(second, 1n), write(third, 2n)]
    await clock.settle()
    t.strictSame([first, second, third].map(isHeld), [false, true, true], 'the first one’s transaction hangs')
    hangs.resolve()
    await clock.settle()
    t.strictSame([second, third].map(isHeld), [true, true], 'theirs stands at the gate')
    passes.resolve()
    await Promise.all(all)
    t.strictSame([first, second, third].map(isHeld), [false, false, false])
  },
)
