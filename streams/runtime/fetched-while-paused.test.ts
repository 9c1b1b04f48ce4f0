/** Over a real broker: kafkajs hands in a batch that it fetched before its partition was paused. */
import type { Consumer, Kafka } from 'kafkajs'
import t from 'tap'
import { startBareStage } from '../../ops/testing/bare-stage.ts'
import { processedPage } from '../../ops/testing/events.ts'
import { eventually } from '../../ops/testing/eventually.ts'
import { createWorld } from '../../ops/testing/world.ts'
import type { Outcome } from '../outcome.ts'

t.setTimeout(120_000)
const world = await createWorld({ partitions: 1 })
t.teardown(world.close)

const PAGES = 20

/** The client, with a look at its consumer's events. */
function watched(kafka: Kafka, onConsumer: (consumer: Consumer) => void): Kafka {
  return Object.assign(Object.create(kafka) as Kafka, {
    consumer: (...options: Parameters<Kafka['consumer']>) => {
      const consumer = kafka.consumer(...options)
      onConsumer(consumer)
      return consumer
    },
  })
}

void t.test('what was fetched before a pause and handed in after it is not skipped', async (t) => {
  await world.produce(
    'pages.processed',
    Array.from({ length: PAGES }, (_, index) => processedPage('acme', `${index}`)),
  )
  const handled: string[] = []
  let paused = false
  let leftAlone = false
  let obey = () => {}
  const order = (now: boolean) => {
    paused = now
    obey()
  }
  const stage = await startBareStage(world, {
    kafka: watched(world.services.kafka('watched'), (consumer) => {
      // Between a fetch and the handling of what it brought, so that the pause always comes too late for kafkajs.
      consumer.on(consumer.events.FETCH, () => order(!paused && !leftAlone))
      consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
        if (paused && payload.batchSize > 0) leftAlone = true
      })
    }),
    handle: ({ id }): Promise<Outcome> => {
      handled.push(id)
      return Promise.resolve({ kind: 'done', reason: 'seen' })
    },
    orders: {
      isPaused: () => paused,
      onChange: (call) => {
        obey = call
        return () => {}
      },
    },
    onFatal: (error) => t.fail(error.message),
  })
  // More behind it: the hole, if there is one, lies between what was taken and what comes next.
  await eventually('the batch was left alone', () => leftAlone, Boolean)
  await world.produce('pages.processed', [processedPage('acme', 'last')])
  await world.drained('chunker')
  t.equal(new Set(handled).size, PAGES + 1, `${handled.length} handled`)
  t.equal(handled.length, PAGES + 1)
  await stage.stop()
})
