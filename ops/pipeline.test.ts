import t from 'tap'
import { topology } from '../streams/topology.ts'
import { createLogger } from './logger.ts'
import { startPipeline } from './pipeline.ts'
import { createServices } from './services.ts'
import { createWorld } from './testing/world.ts'

t.setTimeout(180_000)
const world = await createWorld()
const services = createServices(world.config, createLogger('silent'))
t.teardown(async () => {
  await services.close()
  await world.close()
})

t.test('when one stage cannot start, those that have are stopped before the error is told', async (t) => {
  await world.db.raw('drop index unique_chunk_per_source')
  const options = { services, observer: {}, onFatal: (error: Error) => t.fail(error.message) }
  await t.rejects(startPipeline(['processor', 'chunker'], options), /unique/)
  const admin = services.kafka('test').admin()
  await admin.connect()
  t.teardown(() => admin.disconnect())
  const { groups } = await admin.describeGroups([world.prefix + topology.processor.group])
  t.strictSame(groups[0]?.members, [])
  t.not(groups[0]?.state, 'Dead', 'it had joined')
})
