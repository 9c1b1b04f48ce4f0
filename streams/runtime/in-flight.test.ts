import fc from 'fast-check'
import t from 'tap'
import { createInFlightLimit } from './in-flight.ts'

const turn = () => new Promise((resolve) => setImmediate(resolve))

void t.test('never more than the limit hold a place, all who wait get one, in the order they came', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.array(fc.boolean(), { minLength: 1, maxLength: 40 }),
      async (most, steps) => {
        const limit = createInFlightLimit(most)
        const held: (() => void)[] = []
        const order: number[] = []
        let asked = 0
        for (const acquire of steps) {
          if (acquire) {
            const mine = asked++
            void limit.acquire().then((release) => {
              order.push(mine)
              held.push(release)
            })
          } else held.shift()?.()
          await turn()
          if (held.length > most || limit.inFlight() !== held.length) return false
        }
        while (held.length > 0) {
          held.shift()!()
          await turn()
        }
        return limit.inFlight() === 0 && order.length === asked && order.every((who, index) => who === index)
      },
    ),
    { numRuns: 40 },
  )
  t.pass()
})

void t.test('a place released twice is given once', async (t) => {
  const limit = createInFlightLimit(1)
  const release = await limit.acquire()
  let second = false
  let third = false
  void limit.acquire().then(() => (second = true))
  void limit.acquire().then(() => (third = true))
  release()
  release()
  await turn()
  t.ok(second)
  t.notOk(third)
  t.equal(limit.inFlight(), 1)
})
