/** The baseline: kafkajs' own eachBatch, resolved and committed once a batch, and nothing else of ours but the decoding. */
/* eslint-disable no-restricted-syntax -- the baseline is kafkajs without our runtime */
import { randomUUID } from 'node:crypto'
import type { EachBatchPayload } from 'kafkajs'
import type { World } from '../../testing/world.ts'
import { createStopwatch } from './measured-run.ts'
import type { Run } from './measured-run.ts'

export type Decode = (value: Buffer) => Promise<{ tenant_id: string }>

export async function runBareLoop(
  { services, admin, prefix, config }: World,
  { records, decode }: { readonly records: number; readonly decode: Decode },
): Promise<Run> {
  const groupId = `${prefix}bare-${randomUUID()}`
  const { kafka } = config
  const watch = createStopwatch(records)
  const consumer = watch.attach(services.kafka('bare')).consumer({
    groupId,
    sessionTimeout: kafka.sessionTimeoutMs,
    heartbeatInterval: kafka.heartbeatIntervalMs,
    rebalanceTimeout: kafka.rebalanceTimeoutMs,
    maxWaitTimeInMs: kafka.maxWaitMs,
    maxBytesPerPartition: kafka.maxBytesPerPartition,
    allowAutoTopicCreation: false,
  })

  async function eachBatch({ batch, resolveOffset, commitOffsetsIfNecessary, heartbeat }: EachBatchPayload) {
    const { topic, partition, messages } = batch
    watch.begin()
    for (const { value } of messages) await decode(value!)
    const last = messages.at(-1)
    if (last) {
      resolveOffset(last.offset)
      const offset = String(BigInt(last.offset) + 1n)
      await commitOffsetsIfNecessary({ topics: [{ topic, partitions: [{ partition, offset }] }] })
    }
    await heartbeat()
    watch.end(messages.length)
  }

  await consumer.connect()
  await consumer.subscribe({
    topics: [`${prefix}pages.processed`, `${prefix}pages.processed.retry`],
    fromBeginning: true,
  })
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    partitionsConsumedConcurrently: 64,
    eachBatch,
  })
  const run = await watch.finished
  await consumer.disconnect()
  await admin.deleteGroups([groupId])
  return run
}
