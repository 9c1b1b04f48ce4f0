/** Two instances under one set of commands, budgets and breakers, over a real broker and a real Postgres wire. */
import t from 'tap'
import { createLogger } from './logger.ts'
import { startPipeline } from './pipeline.ts'
import type { Pipeline } from './pipeline.ts'
import { createServices } from './services.ts'
import type { Services } from './services.ts'
import { createStatus } from './status.ts'
import { processedPage } from './testing/events.ts'
import { eventually } from './testing/eventually.ts'
import { createWorld } from './testing/world.ts'
import { limitKey, pauseKey } from '../streams/throttle/control-state.ts'

t.setTimeout(180_000)
const world = await createWorld({ partitions: 2 })
const [acme, globex] = world.tenants as [string, string]
interface Instance {
  readonly services: Services
  readonly pipeline: Pipeline
}
const instances: Instance[] = []
async function join(): Promise<Instance> {
  const services = createServices(world.config, createLogger('silent'))
  const pipeline = await startPipeline(['chunker'], {
    services,
    observer: {},
    onFatal: (error) => t.fail(error.message),
  })
  const instance = { services, pipeline }
  instances.push(instance)
  return instance
}
t.teardown(async () => {
  for (const { services, pipeline } of instances) {
    await pipeline.stop()
    await services.close()
  }
  await world.close()
})
await join()
await join()
const stored = async () => (await world.db('sources').where({ status: 'active' })).length
const command = (key: string, value: object | null) => instances[0]!.services.throttle.control.publish(key, value)
const everywhere = (name: string, seen: (services: Services) => boolean) =>
  eventually(name, async () => instances.every(({ services }) => seen(services)), Boolean)
const budget = ({ throttle }: Services, name: string) => throttle.figures().budgets.find((one) => one.name === name)!
const stage = { stage: 'chunker', tenant: '', partition: -1 } as const

t.test('a pause reaches all instances and those that start later; its reason and since when are told', async (t) => {
  await command(pauseKey(stage), { command: 'PAUSE', stage: 'chunker', reason: 'maintenance', issued_by: 'ada' })
  await everywhere('both know of it', ({ throttle }) => throttle.orders.isPaused('chunker', 0))
  const third = await join()
  t.match(third.services.throttle.figures().pauses, [{ reason: 'maintenance', by: 'ada' }])
  await world.produce('pages.processed', [processedPage(acme, 'one'), processedPage(globex, 'two')])
  const paused = await eventually(
    'every partition is paused by the operator',
    async () =>
      instances.flatMap(({ services, pipeline }) =>
        createStatus(() => pipeline.stages, services.throttle)
          .stages()
          .flatMap(({ partitions }) => partitions),
      ),
    (all) => all.length === 4 && all.every(({ reasons }) => reasons.some(({ reason }) => reason === 'operator')),
  )
  t.ok(paused.every(({ reasons }) => reasons.every(({ sinceMs }) => sinceMs > 0)))
  t.equal(await stored(), 0)
  await command(pauseKey(stage), null)
  await world.drained('chunker')
  t.equal(await stored(), 2)
})

t.test('a paused tenant waits, its neighbours go on', async (t) => {
  const before = await stored()
  await command(pauseKey({ stage: '', tenant: acme, partition: -1 }), { command: 'PAUSE', tenant_id: acme })
  await everywhere('all know of it', ({ throttle }) => throttle.orders.isTenantPaused('chunker', acme))
  await world.produce('pages.processed', [processedPage(acme, 'three'), processedPage(globex, 'four')])
  await eventually('the neighbour is stored', stored, (count) => count === before + 1)
  await command(pauseKey({ stage: '', tenant: acme, partition: -1 }), null)
  await world.drained('chunker')
  t.equal(await stored(), before + 2)
})

t.test('a limit is one total: what the instances may use never adds up to more, and work gets through', async (t) => {
  const name = 'embedding_requests'
  await command(limitKey({ budget: name, tenant: '' }), { command: 'LIMIT', budget: name, value: 50 })
  await everywhere('all know of it', (services) => budget(services, name).total === 50)
  const sums: number[] = []
  const pages = Array.from({ length: 12 }, (_, index) => processedPage(index % 2 ? acme : globex, `limited-${index}`))
  const before = await stored()
  await world.produce('pages.processed', pages)
  await eventually(
    'all pages are stored',
    async () => {
      sums.push(instances.reduce((sum, { services }) => sum + (budget(services, name).allowed ?? 0), 0))
      return stored()
    },
    (count) => count === before + 12,
  )
  t.ok(Math.max(...sums) <= 50 + 1e-6, `${Math.max(...sums)}`)
  t.ok(Math.max(...sums) > 0)
  await command(limitKey({ budget: name, tenant: '' }), null)
  await everywhere('it is lifted', (services) => budget(services, name).total === null)
})

t.test(
  'a circuit that opens in one instance is open in all, with the reason; one probe closes it for all',
  async (t) => {
    world.embeddings.setFaults({ refuse: { status: 500 } })
    await world.produce('pages.processed', [processedPage(acme, 'five')])
    await everywhere('open everywhere', ({ throttle }) => throttle.breakers.embeddings.state().kind !== 'closed')
    const probes = () => instances.filter(({ services }) => services.throttle.breakers.embeddings.state().probeIsMine)
    t.ok(probes().length <= 1)
    for (const { services } of instances)
      t.match(services.throttle.breakers.embeddings.state().reason, /500|Played|refus/i)
    world.embeddings.setFaults({})
    await world.drained('chunker')
    await everywhere('closed everywhere', ({ throttle }) => throttle.breakers.embeddings.state().kind === 'closed')
  },
)
