/** What hangs is seen through a limit and through a pause; what cannot be told because Postgres is away is not made up. */
import t from 'tap'
import { limitKey, pauseKey } from '../../streams/throttle/control-state.ts'
import { createLogger } from '../logger.ts'
import { startPipeline } from '../pipeline.ts'
import { createServices } from '../services.ts'
import { crawledPage } from '../testing/events.ts'
import { eventually } from '../testing/eventually.ts'
import { createPostgresProxy } from '../testing/postgres-proxy.ts'
import { createWorld } from '../testing/world.ts'
import { createLagSource } from './source.ts'
import type { LagRow } from './source.ts'

t.setTimeout(300_000)
const RECORD_TIMEOUT_MS = 3_000
const world = await createWorld({ partitions: 3 })
const { config } = world
const proxy = await createPostgresProxy(world.database.url)
const real = createServices(
  {
    ...config,
    postgres: { ...config.postgres, url: proxy.url },
    runtime: { ...config.runtime, recordTimeoutMs: RECORD_TIMEOUT_MS as 45_000 },
  },
  createLogger('silent'),
)
const { control } = real.throttle
/** A produce that never comes back is what a record can hang in after its own deadline. */
let letGo = Promise.resolve()
let asked = 0
const services = {
  ...real,
  producer: {
    ...real.producer,
    produce: (async (messages) => {
      asked += 1
      await letGo
      return real.producer.produce(messages)
    }) as typeof real.producer.produce,
  },
}
const pipeline = await startPipeline(['processor'], {
  services,
  observer: {},
  onFatal: (error) => t.fail(error.message),
})
const source = createLagSource(services, { cacheMs: 0 })
t.teardown(async () => {
  proxy.mode = 'pass'
  await Promise.all([pipeline.stop(), source.close()])
  await real.close()
  await proxy.close()
  await world.close()
})

const [tenant] = world.tenants as [string]
const pages = (count: number, name: string) =>
  Array.from({ length: count }, (_, i) => crawledPage(tenant, `${name}-${i}`))
const said = ({ state, reasons }: LagRow) => [state, ...reasons].join(' ')
async function look(): Promise<LagRow> {
  return (await source.rows()).find(({ stage, partition }) => stage === 'processor' && partition === 0)!
}
const until = (wanted: string) => eventually(wanted, look, (row) => row.lag > 0 && said(row) === wanted, 90_000)

const LIMIT = { budget: 'processor_records', tenant: '' } as const
const limit = (value: number | null) =>
  control.publish(
    limitKey(LIMIT),
    value === null ? null : { command: 'LIMIT', budget: LIMIT.budget, value, reason: 't' },
  )
const PAUSE = { stage: 'processor', tenant: '', partition: -1 } as const
const pause = (on: boolean) =>
  control.publish(pauseKey(PAUSE), on ? { command: 'PAUSE', stage: PAUSE.stage, reason: 't' } : null)

t.test('a limited stage is throttled; a record that hangs in it is a stall, under a pause too', async (t) => {
  await limit(0.2)
  await world.produce('pages.crawled', pages(6, 'slow'))
  await until('throttled rate')
  const hang = Promise.withResolvers<void>()
  letGo = hang.promise
  await until('stalled rate hung')
  await pause(true)
  t.match((await until('stalled operator rate hung')).etaMs, null)
  hang.resolve()
  await until('paused operator rate')
  await Promise.all([pause(false), limit(null)])
  await world.drained('processor')
  t.match(await look(), { state: 'running', reasons: [] })
})

t.test(
  'while Postgres is away a stage that needs none goes on undisturbed, and what is not known is said to be',
  async (t) => {
    proxy.mode = 'blackhole'
    await world.produce('pages.crawled', pages(3, 'meanwhile'))
    await world.drained('processor')
    const hang = Promise.withResolvers<void>()
    letGo = hang.promise
    const before = asked
    await world.produce('pages.crawled', pages(2, 'unseen'))
    await eventually(
      'one is under way',
      () => asked - before,
      (count) => count >= 1,
    )
    t.match((await until('running unreported')).lag, 2)
    await pause(true)
    await until('paused operator unreported')
    proxy.mode = 'pass'
    proxy.cut()
    await until('stalled operator hung')
    hang.resolve()
    await pause(false)
    await world.drained('processor')
  },
)
