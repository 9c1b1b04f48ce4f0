/** The registry's newest schemas against ours. Only read: `sluice topics apply` registers, a doctor does not. */
import confluent from '@kafkajs/confluent-schema-registry'
import type { Type } from 'avsc'
import { avroOptions, parseSchema, schemaText } from '../../schemas/avro.ts'
import { topicNames } from '../../schemas/topics.ts'
import type { TopicName } from '../../schemas/topics.ts'
import { DependencyUnavailable, errorMessage } from '../../streams/errors.ts'
import type { Services } from '../services.ts'
import { bad, ok, warn } from './finding.ts'
import type { Check } from './finding.ts'

type State = 'registered' | 'missing' | 'new' | `incompatible (${string})`

export const schemasCheck: Check = {
  name: 'schema registry',
  look: async ({ services: { config } }) => {
    const states = await Promise.all(
      topicNames.map(async (topic) => {
        const subject = `${config.topicPrefix}${topic}-value`
        return { subject, state: await compare(config.registry, subject, topic) }
      }),
    )
    const which = (of: string) => states.filter(({ state }) => state.startsWith(of))
    const incompatible = which('incompatible')
    if (incompatible.length > 0)
      return bad(
        incompatible.map(({ subject, state }) => `${subject} is ${state}`).join('; '),
        'Somebody registered another schema there: delete that version in the registry, or take a SLUICE_TOPIC_PREFIX of your own.',
      )
    const missing = which('missing')
    if (missing.length > 0)
      return bad(`not registered: ${missing.map(({ subject }) => subject).join(', ')}`, 'Run `sluice topics apply`.')
    const isNew = which('new')
    if (isNew.length > 0)
      return warn(
        `compatible, newer than the registered: ${isNew.map(({ subject }) => subject).join(', ')}`,
        'Run `sluice topics apply` before the stages of this version start.',
      )
    return ok('all schemas registered and compatible')
  },
}

async function compare(settings: Services['config']['registry'], subject: string, topic: TopicName): Promise<State> {
  const { url, username, password = '' } = settings
  const registry = new confluent.SchemaRegistry(
    { host: url, ...(username && { auth: { username, password } }), retry: { retries: 0 } },
    { [confluent.SchemaType.AVRO]: avroOptions },
  )
  const id = await registry.getLatestSchemaId(subject).catch((error: unknown) => {
    if ((error as { status?: number }).status === 404) return undefined
    throw new DependencyUnavailable('registry', `schema registry: ${errorMessage(error)}`, { cause: error })
  })
  if (id === undefined) return 'missing'
  const ours = parseSchema(schemaText(topic))
  const theirs = (await registry.getSchema(id)) as Type
  if (ours.equals(theirs)) return 'registered'
  return incompatibility(ours, theirs) ?? 'new'
}

/** FULL: each side must read what the other writes. */
function incompatibility(ours: Type, theirs: Type): State | undefined {
  try {
    ours.createResolver(theirs)
    theirs.createResolver(ours)
    return undefined
  } catch (error) {
    return `incompatible (${errorMessage(error)})`
  }
}
