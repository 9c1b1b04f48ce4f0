/** Errors as a person reads them: what happened, and what to do next. Never a stack, never an empty message. */
import { DependencyUnavailable, UserError, errorMessage } from '../../streams/errors.ts'
import type { Dependency } from '../../streams/errors.ts'
import { printable } from './output.ts'

export const dependencyHints: Record<Dependency, string> = {
  kafka: 'Is KAFKA_BROKERS right and reachable from here, and does the broker advertise an address that is?',
  registry: 'Is SCHEMA_REGISTRY_URL right (the Confluent API’s base), and are its name and password?',
  postgres: 'Is DATABASE_URL right, and is the server up?',
  embeddings: 'Are OPENAI_BASE_URL, OPENAI_API_KEY and EMBEDDING_MODEL right?',
}

/** kafkajs' own errors, by name: its clients speak to nobody but brokers. */
const KAFKA = /^KafkaJS/

/** Errors that tell by their text what to do; the first that fits. Every table, view and topic is made by a command. */
const textHints: readonly [RegExp, string][] = [
  [/relation "\w+" does not exist/, 'Run `sluice migrate up`.'],
  [/does not host this topic-partition|UNKNOWN_TOPIC_OR_PARTITION/, 'Run `sluice topics apply`.'],
  [
    /authorization failed|not authorized/i,
    'May KAFKA_USERNAME read and write the topics, and use the groups sluice.*?',
  ],
  [/permission denied for/, 'Grant it to the role of DATABASE_URL, or name the role that owns the tables there.'],
  [/^listen EADDRINUSE/, 'Take another ADMIN_PORT, or 0 for any that is free.'],
  [/\bENOSPC\b/, 'Make room on the disk.'],
]
const NOT_EXPECTED = 'LOG_LEVEL=debug shows where it comes from; `sluice doctor` looks at everything that it needs.'

/** Errors are shown on two lines at most: `message`, then the hint, which is never empty. */
export function describeError(error: unknown): {
  readonly message: string
  readonly hint: string
  readonly code: 1 | 2
} {
  if (error instanceof UserError)
    return { message: error.message, hint: error.hint || NOT_EXPECTED, code: error.exitCode }
  const isKafka = KAFKA.test((error as Error | null)?.name ?? '')
  const message = `${isKafka ? 'Kafka: ' : ''}${plainMessage(error)}`
  const known = textHints.find(([text]) => text.test(message))?.[1]
  const away = error instanceof DependencyUnavailable ? error.dependency : isKafka ? 'kafka' : undefined
  return { message, hint: known ?? (away ? dependencyHints[away] : NOT_EXPECTED), code: 1 }
}

export function formatError(error: unknown): string {
  const { message, hint } = describeError(error)
  return printable(`sluice: ${message}\n  ${hint}`)
}

/** Node reports a name with several addresses as an AggregateError without a message of its own. */
function plainMessage(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(plainMessage).join('; ')
  return errorMessage(error) || (error as { code?: string }).code || 'unknown error'
}
