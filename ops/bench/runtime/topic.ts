/** The topic that both sides of a comparison read: filled once, by the project's own producer. */
import type { Codec } from '../../../schemas/codec.ts'
import type { OutgoingMessage } from '../../../streams/runtime/ports.ts'
import type { World } from '../../testing/world.ts'
import { TENANT, processedPage } from './pages.ts'

/** As much as the producer puts into one request under load, so that record batches have the size they have in life. */
const REQUEST_BYTES = 1024 * 1024

interface Fill {
  readonly records: number
  /** Of text, per page. */
  readonly characters: number
  /** Page by page in turn; one partition takes them all. */
  readonly partitions: number
}

/** Fills `pages.processed` of this world. @returns bytes of all values */
export async function fill({ services, prefix }: World, { records, characters, partitions }: Fill): Promise<number> {
  let waiting: OutgoingMessage[] = []
  let waitingBytes = 0
  let bytes = 0
  const send = async () => {
    await services.producer.produce(waiting)
    bytes += waitingBytes
    waiting = []
    waitingBytes = 0
  }
  for (let index = 0; index < records; index += 1) {
    const value = await encode(services.codec, index, characters)
    waiting.push({ topic: `${prefix}pages.processed`, key: TENANT, value, partition: index % partitions })
    waitingBytes += value.length
    if (waitingBytes >= REQUEST_BYTES) await send()
  }
  if (waiting.length > 0) await send()
  return bytes
}

const encode = (codec: Codec, index: number, characters: number) =>
  codec.encode('pages.processed', processedPage(index, characters))
