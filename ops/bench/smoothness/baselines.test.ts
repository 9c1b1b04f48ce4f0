import t from 'tap'
import { policies, runPolicy } from './baselines.ts'

t.test(
  'all at once: every page is dispatched before the first is done, and tries again as told until it is served',
  async (t) => {
    let refusals = 0
    let asked = 0
    const gate = Promise.withResolvers<void>()
    const page = () => ({
      process: async () => {
        asked += 1
        if (asked === 20) gate.resolve()
        await gate.promise
      },
      prepareChunks: async () => {},
      embed: async () => (refusals++ < 30 ? { retryAfterMs: 1 } : undefined),
      store: async () => {},
    })
    const most = await runPolicy(policies.a, Array.from({ length: 20 }, page))
    t.equal(most, 20)
    t.equal(refusals, 50)
  },
)

t.test('the old stagger: a page every 1.5 s, its chunking 10 to 60 s later', async (t) => {
  const { dispatchMs, betweenMs } = policies.b
  t.same([0, 1, 199].map(dispatchMs), [0, 1_500, 298_500])
  t.same(
    [0, 0.5].map((random) => betweenMs(() => random)),
    [10_000, 35_000],
  )
})

t.test('full jitter: anywhere from now to a bound that doubles up to a minute, whatever the API says', async (t) => {
  const { retryMs } = policies.c
  const bounds = [1, 2, 3, 6, 50].map((failures) => retryMs(failures, 5, () => 1))
  t.same(bounds, [2_000, 4_000, 8_000, 60_000, 60_000])
  t.equal(
    retryMs(3, 5, () => 0),
    0,
  )
})
