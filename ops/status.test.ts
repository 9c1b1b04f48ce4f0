import t from 'tap'
import type { RunningStage } from '../streams/runtime/run-stage.ts'
import type { LagRow } from './lag/source.ts'
import { createStatus } from './status.ts'
import type { Throttle } from './throttle.ts'

const partition = {
  ...{ topic: 't', partition: 0, next: 10n, end: 12n, inFlight: 0, oldestRecordMs: undefined, waits: [] },
  ...{ reasons: [{ reason: 'operator', sinceMs: 1 }], dependencies: [] },
}
const stage = { name: 'chunker', partitions: () => [partition], pausedMs: () => ({}) } as unknown as RunningStage
const throttle = { figures: () => ({}) } as unknown as Throttle
const row = { topic: 't', partition: 0, end: 50 } as LagRow
const status = (rows?: () => Promise<LagRow[]>) => createStatus(() => [stage], throttle, rows ? { lag: { rows } } : {})

t.test('a partition that is paused fetches nothing: its end is asked of the broker', async (t) => {
  const asked = status(() => Promise.resolve([row]))
  t.match(await asked.current(), [{ lag: 40, partitions: [{ end: '50', lag: 40 }] }])
  t.match(asked.stages(), [{ lag: 2, partitions: [{ end: '12' }] }], 'at once, as far as it knows')
})

t.test('what was fetched may be newer than what the broker was asked for', async (t) => {
  t.match(await status(() => Promise.resolve([{ ...row, end: 11 }])).current(), [{ lag: 2 }])
})

t.test('a broker that is away, or nobody to ask, leaves what is known', async (t) => {
  t.match(await status(() => Promise.reject(new Error('away'))).current(), [{ lag: 2 }])
  t.match(await status().current(), [{ lag: 2 }])
})
