/** Avro types with `long` as bigint: a version that counts nanoseconds is above 2^53. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import avsc from 'avsc'
import type { Schema, Type } from 'avsc'
import { topics } from './topics.ts'
import type { TopicName } from './topics.ts'

const long = avsc.types.LongType.__with({
  fromBuffer: (buffer: Buffer) => buffer.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const buffer = Buffer.alloc(8)
    buffer.writeBigInt64LE(value)
    return buffer
  },
  fromJSON: (value: number | string) => BigInt(value),
  toJSON: (value: bigint) => Number(value),
  isValid: (value: unknown) => typeof value === 'bigint' && BigInt.asIntN(64, value) === value,
  compare: (a: bigint, b: bigint) => (a === b ? 0 : a < b ? -1 : 1),
})

/** Options for `avsc` and the registry client; a hook, as a shared registry of names would clash between schemas. */
export const avroOptions = {
  typeHook: (schema: unknown) =>
    schema === 'long' || (schema as { type?: unknown }).type === 'long' ? long : undefined,
}

export const parseSchema = (text: string): Type => avsc.Type.forSchema(JSON.parse(text) as Schema, { ...avroOptions })

export const schemaText = (topic: TopicName): string =>
  readFileSync(join(import.meta.dirname, topics[topic].schema), 'utf8')
