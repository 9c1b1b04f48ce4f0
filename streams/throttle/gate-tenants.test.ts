import fc from 'fast-check'
import t from 'tap'
import { ask } from './gate-fakes.ts'
import { createAlarms, createTenantRates } from './gate-tenants.ts'

void t.test('alarms come in the order in which they fall due, none early and none twice', async () => {
  fc.assert(
    fc.property(fc.array(fc.nat(50), { maxLength: 60 }), fc.nat(60), (dues, untilMs) => {
      const alarms = createAlarms<number>()
      dues.forEach((dueMs, index) => alarms.add(dueMs, index))
      const rung: number[] = []
      for (let item = alarms.due(untilMs); item !== undefined; item = alarms.due(untilMs)) rung.push(item)
      const due = dues.filter((dueMs) => dueMs <= untilMs).sort((a, b) => a - b)
      const left = dues.filter((dueMs) => dueMs > untilMs)
      const inOrder = JSON.stringify(rung.map((index) => dues[index])) === JSON.stringify(due)
      return inOrder && new Set(rung).size === rung.length && alarms.nextMs() === Math.min(Infinity, ...left)
    }),
  )
})

void t.test('of thousands of tenants only those at rest are forgotten', async (t) => {
  let nowMs = 0
  const rates = createTenantRates({
    clock: { now: () => nowMs, after: () => () => {} },
    limits: { ratesOf: () => ({ rate: 1 }) },
  })
  rates.take(ask('busy', { takes: { rate: 1000 } }))
  for (let n = 0; n < 5000; n += 1) {
    rates.take(ask(`tenant-${n}`))
    nowMs += 10
  }
  t.equal(rates.waitMs(ask('busy'), nowMs), 950_000)
  t.equal(rates.waitMs(ask('tenant-4999'), nowMs), 990)
})
