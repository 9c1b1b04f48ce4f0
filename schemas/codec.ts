/**
 * Values to bytes and back in the Confluent wire format. Written schemas are registered under FULL_TRANSITIVE; a record
 * is read with its writer's schema and resolved to ours, so that a producer that knows fewer fields is understood.
 */
import confluent from '@kafkajs/confluent-schema-registry'
import type { Resolver, Type } from 'avsc'
import { DependencyUnavailable, StageError, errorMessage } from '../streams/errors.ts'
import { avroOptions, parseSchema, schemaText } from './avro.ts'
import { topicNames } from './topics.ts'
import type { TopicName } from './topics.ts'

export interface RegistrySettings {
  readonly url: string
  readonly username?: string | undefined
  readonly password?: string | undefined
  /** Of one request; three may be made. A registry that takes them and never answers is away. */
  readonly timeoutMs?: number
  /** Topic prefix; subjects carry it too. */
  readonly prefix: string
}

export interface Codec {
  /** Registers every schema; a change that breaks compatibility is refused. @throws DependencyUnavailable */
  readonly register: () => Promise<void>
  /** @throws StageError unencodable; DependencyUnavailable('registry') */
  readonly encode: (topic: TopicName, value: object) => Promise<Buffer>
  /** @throws StageError undecodable, unknown_schema_id, schema_mismatch; DependencyUnavailable('registry') */
  readonly decode: (topic: TopicName, value: Buffer) => Promise<object>
}

type Middleware = NonNullable<ConstructorParameters<typeof confluent.SchemaRegistry>[0]['middlewares']>[number]

/** The registry's answer "no such id" is believed this long, so that a flood of poison does not flood the registry. */
const UNKNOWN_ID_TTL_MS = 30_000
const REQUEST_TIMEOUT_MS = 3_000
const MAGIC = 0
const HEADER_BYTES = 5

export function createCodec(settings: RegistrySettings, now: () => number = Date.now): Codec {
  const registry = new confluent.SchemaRegistry(
    {
      host: settings.url,
      ...(settings.username ? { auth: { username: settings.username, password: settings.password ?? '' } } : {}),
      middlewares: [deadline(settings.timeoutMs ?? REQUEST_TIMEOUT_MS)],
      retry: { retries: 2, initialRetryTimeInSecs: 0.2, maxRetryTimeInSecs: 2 },
    },
    { [confluent.SchemaType.AVRO]: avroOptions },
  )
  const readers = new Map(topicNames.map((topic) => [topic, parseSchema(schemaText(topic))]))
  const writers = new Map<TopicName, Promise<number>>()
  const resolvers = new Map<string, Resolver | null>()
  const unknownUntil = new Map<number, number>()

  async function registerOne(topic: TopicName): Promise<number> {
    const subject = `${settings.prefix}${topic}-value`
    try {
      const { id } = await registry.register(
        { type: confluent.SchemaType.AVRO, schema: schemaText(topic) },
        { subject, compatibility: confluent.COMPATIBILITY.FULL_TRANSITIVE },
      )
      return id
    } catch (error) {
      const status = (error as { status?: number }).status
      if (status === 409 || status === 422 || !isAway(error))
        throw new StageError('incompatible_schema', `${subject}: ${errorMessage(error)}`, { cause: error })
      throw unavailable(error)
    }
  }
  function writerId(topic: TopicName): Promise<number> {
    const known = writers.get(topic) ?? registerOne(topic)
    writers.set(topic, known)
    known.catch(() => writers.delete(topic))
    return known
  }
  async function writerSchema(id: number): Promise<Type> {
    if ((unknownUntil.get(id) ?? 0) > now()) throw unknownId(id)
    try {
      return (await registry.getSchema(id)) as Type
    } catch (error) {
      const { status } = error as { status?: number }
      if (isAway(error)) throw unavailable(error)
      // Another team's kind of schema, or one that this side cannot parse: the record's fault, not the registry's.
      if (status !== 404) throw new StageError('schema_mismatch', `schema ${id} cannot be used: ${errorMessage(error)}`)
      if (unknownUntil.size > 10_000) unknownUntil.clear()
      unknownUntil.set(id, now() + UNKNOWN_ID_TTL_MS)
      throw unknownId(id)
    }
  }
  /** null: the writer's schema is ours, byte for byte in meaning. */
  function resolver(topic: TopicName, id: number, reader: Type, writer: Type): Resolver | undefined {
    const key = `${topic}/${id}`
    if (!resolvers.has(key)) {
      try {
        resolvers.set(key, reader.equals(writer) ? null : reader.createResolver(writer))
      } catch (error) {
        throw new StageError('schema_mismatch', `schema ${id} cannot be read as ${topic}: ${errorMessage(error)}`)
      }
    }
    return resolvers.get(key) ?? undefined
  }
  return {
    register: async () => {
      for (const topic of topicNames) await writerId(topic)
    },
    encode: async (topic, value) => {
      const id = await writerId(topic)
      try {
        const payload = readers.get(topic)!.toBuffer(value)
        const header = Buffer.alloc(HEADER_BYTES)
        header.writeInt32BE(id, 1)
        return Buffer.concat([header, payload])
      } catch (error) {
        throw new StageError('unencodable', `${topic}: ${errorMessage(error)}`, { cause: error })
      }
    },
    decode: async (topic, value) => {
      if (value.length < HEADER_BYTES || value[0] !== MAGIC)
        throw new StageError('undecodable', 'the value is not in the Confluent wire format (magic byte 0, schema id)')
      const id = value.readInt32BE(1)
      const reader = readers.get(topic)!
      const resolve = resolver(topic, id, reader, await writerSchema(id))
      try {
        return reader.fromBuffer(value.subarray(HEADER_BYTES), resolve) as object
      } catch (error) {
        throw new StageError('undecodable', `schema ${id}: ${errorMessage(error)}`, { cause: error })
      }
    },
  }
}

/** The client's own requests have none: one that hangs would hold up its partition, and every later one for its schema. */
const deadline =
  (timeout: number): Middleware =>
  () => ({ prepareRequest: async (next) => (await next()).enhance({ timeout }) })

const unknownId = (id: number) => new StageError('unknown_schema_id', `the schema registry knows no schema ${id}`)
/** The client reports a refused connection as status 400, so its message counts too. */
function isAway(error: unknown): boolean {
  const { status } = error as { status?: number }
  if (status !== undefined && (status >= 500 || [401, 403, 408, 429].includes(status))) return true
  return /\bE[A-Z_]{3,}\b|socket hang up|timeout|certificate/i.test(errorMessage(error))
}

const unavailable = (error: unknown) =>
  new DependencyUnavailable('registry', `schema registry: ${errorMessage(error)}`, { cause: error })
