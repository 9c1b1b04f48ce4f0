import t from 'tap'
import { createFakeClock } from '../../ops/testing/fake-clock.ts'
import { startHeart } from './heart.ts'

function setup(heartbeat: () => Promise<void> = async () => {}) {
  const clock = createFakeClock()
  let beats = 0
  const heart = startHeart({
    heartbeat: () => {
      beats += 1
      return heartbeat()
    },
    clock,
    everyMs: 1_000,
    patienceMs: 5_000,
  })
  return { clock, heart, beats: () => beats }
}

void t.test('it beats while work moves, and stops when nothing has moved for its patience', async (t) => {
  const { clock, heart, beats } = setup()
  await clock.advance(4_000)
  heart.progress()
  await clock.advance(4_000)
  t.equal(beats(), 8)
  await clock.advance(60_000)
  t.equal(beats(), 9, 'a hung handler must lose its membership')
  t.equal(clock.pending(), 0)
})

void t.test('a failed heartbeat is kept for the slice to rethrow, and none follows', async (t) => {
  const lost = Object.assign(new Error('rebalancing'), { type: 'REBALANCE_IN_PROGRESS' })
  const { clock, heart, beats } = setup(() => Promise.reject(lost))
  t.equal(heart.lost(), undefined)
  await clock.advance(10_000)
  t.equal(heart.lost(), lost)
  t.equal(beats(), 1)
})

void t.test('stopped, it leaves no timer behind, even with a heartbeat under way', async (t) => {
  const answer = Promise.withResolvers<void>()
  const { clock, heart } = setup(() => answer.promise)
  await clock.advance(1_000)
  heart.stop()
  answer.resolve()
  await clock.settle()
  t.equal(clock.pending(), 0)
})
