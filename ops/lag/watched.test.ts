import t from 'tap'
import { createFakeClock } from '../testing/fake-clock.ts'
import { createWatched } from './watched.ts'

t.test(
  'what does not move stands still since the first look; moving or having nothing to do starts anew',
  async (t) => {
    const clock = createFakeClock()
    const watched = createWatched(clock.now)
    t.equal(watched.stillMs('p'), 0, 'never looked at')
    watched.look('p', 'g', 5n, 3n)
    await clock.advance(40_000)
    watched.look('p', 'g', 5n, 4n)
    t.equal(watched.stillMs('p'), 40_000)
    watched.look('p', 'g', 6n, 3n)
    t.equal(watched.stillMs('p'), 0)
    await clock.advance(10_000)
    watched.look('p', 'g', 6n, 0n)
    t.equal(watched.stillMs('p'), 0)
  },
)

t.test('a group’s rate is what its offsets moved over the last minute', async (t) => {
  const clock = createFakeClock()
  const watched = createWatched(clock.now)
  watched.look('p', 'g', 0n, 100n)
  watched.look('q', 'g', 0n, 100n)
  t.equal(watched.perSecond('g'), null, 'too short to tell')
  await clock.advance(10_000)
  watched.look('p', 'g', 30n, 70n)
  watched.look('q', 'g', 10n, 90n)
  t.equal(watched.perSecond('g'), 4)
  t.equal(watched.perSecond('other'), null)
  await clock.advance(60_000)
  watched.look('p', 'g', 30n, 70n)
  t.equal(watched.perSecond('g'), 0, 'long ago')
})

t.test('offsets that were set back are no progress of work', async (t) => {
  const clock = createFakeClock()
  const watched = createWatched(clock.now)
  watched.look('p', 'g', 50n, 10n)
  await clock.advance(10_000)
  watched.look('p', 'g', 0n, 60n)
  t.equal(watched.perSecond('g'), 0)
})
