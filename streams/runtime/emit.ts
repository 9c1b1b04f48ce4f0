/** Outgoing records to messages: the topic with its prefix, the tenant as the key, the value in the wire format. */
import type { OutgoingRecord } from '../outcome.ts'
import type { OutgoingMessage, Produce } from './ports.ts'

interface Dependencies {
  readonly prefix: string
  readonly encode: (topic: OutgoingRecord['topic'], value: object) => Promise<Buffer>
  readonly produce: Produce
}

/** Resolves once all in-sync replicas have the records. */
export type Emit = (records: readonly OutgoingRecord[], headers?: OutgoingMessage['headers']) => Promise<void>

export function createEmit({ prefix, encode, produce }: Dependencies): Emit {
  return async (records, headers) => {
    if (records.length === 0) return
    const messages = records.map(async ({ topic, tenantId, value }) => ({
      topic: prefix + topic,
      key: tenantId,
      value: await encode(topic, value),
      ...(headers && { headers }),
    }))
    await produce(await Promise.all(messages))
  }
}
