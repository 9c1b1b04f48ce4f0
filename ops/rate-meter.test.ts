import t from 'tap'
import { createRateMeter } from './rate-meter.ts'
import { createFakeClock } from './testing/fake-clock.ts'

t.test('a steady flow is measured as it is, from its first seconds on', async (t) => {
  const clock = createFakeClock()
  const meter = createRateMeter(clock)
  t.equal(meter.perSecond(), 0)
  for (let second = 1; second <= 120; second += 1) {
    await clock.advance(1_000)
    meter.add(4)
    if (second >= 10) t.ok(Math.abs(meter.perSecond() - 4) < 0.5, `${meter.perSecond()} after ${second} s`)
  }
})

t.test('what stopped a minute ago is forgotten', async (t) => {
  const clock = createFakeClock()
  const meter = createRateMeter(clock)
  meter.add(1_000)
  await clock.advance(65_000)
  t.equal(meter.perSecond(), 0)
})
