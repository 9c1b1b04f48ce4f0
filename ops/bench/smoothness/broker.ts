/**
 * A scenario's topics and what the bench itself asks of them. Made of connectors alone: the wiring that instances use
 * would make the bench one of them, with a part of the fleet's budgets.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { createKafka } from '../../../connectors/kafka/client.ts'
import { createProducer } from '../../../connectors/kafka/producer.ts'
import { applyTopics } from '../../../connectors/kafka/topics.ts'
import { createCodec } from '../../../schemas/codec.ts'
import { physicalTopics } from '../../../schemas/topics.ts'
import { defaults } from '../../config.ts'
import { stageLag, totalLag } from '../../lag/offsets.ts'
import { createLogger } from '../../logger.ts'
import { createPublisher } from './publisher.ts'
import { PARTITIONS } from './stated-api.ts'

interface Options {
  readonly brokers: string
  readonly registryUrl: string
  readonly prefix: string
}

const DRAIN_TIMEOUT_MS = 400_000
const LOOK_EVERY_MS = 500

export async function openBroker({ brokers, registryUrl, prefix }: Options) {
  const settings = { brokers: brokers.split(','), requestTimeoutMs: defaults.kafka.requestTimeoutMs }
  const kafka = createKafka(settings, 'sluice-bench', createLogger('silent'))
  const admin = kafka.admin()
  const producer = createProducer(kafka)
  const codec = createCodec({ url: registryUrl, prefix })
  await Promise.all([admin.connect(), producer.connect(), codec.register()])
  const topics = await applyTopics(admin, physicalTopics(prefix, PARTITIONS))

  const lag = async () =>
    totalLag(await stageLag(admin, 'processor', prefix)) + totalLag(await stageLag(admin, 'chunker', prefix))

  return {
    pages: createPublisher({ codec, produce: producer.produce, topic: `${prefix}pages.crawled` }),
    /** Both groups have committed all there is, twice in a row: what the first has just published is not yet the second's. */
    drained: async (): Promise<void> => {
      const deadline = Date.now() + DRAIN_TIMEOUT_MS
      for (let inRow = 0; inRow < 2;) {
        const left = await lag()
        inRow = left === 0n ? inRow + 1 : 0
        if (Date.now() > deadline)
          throw new Error(`not drained within ${DRAIN_TIMEOUT_MS / 1000} s: ${left} records are left`)
        await sleep(LOOK_EVERY_MS)
      }
    },
    /** The topics go too: twenty scenarios' partitions would be the broker's main work. */
    close: async () => {
      await admin.deleteTopics({ topics: topics.map(({ name }) => name) })
      await Promise.all([admin.disconnect(), producer.disconnect()])
    },
  }
}
