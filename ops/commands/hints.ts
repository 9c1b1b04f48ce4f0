/** Errors as a person reads them: what happened, and what to do next. Never a stack, never an empty message. */
import { DependencyUnavailable, UserError, errorMessage } from '../../streams/errors.ts'
import type { Dependency } from '../../streams/errors.ts'

export const dependencyHints: Record<Dependency, string> = {
  kafka: 'Is KAFKA_BROKERS right and reachable from here, and does the broker advertise an address that is?',
  registry: 'Is SCHEMA_REGISTRY_URL right (the Confluent API’s base), and are its name and password?',
  postgres: 'Is DATABASE_URL right, and is the server up?',
  embeddings: 'Are OPENAI_BASE_URL, OPENAI_API_KEY and EMBEDDING_MODEL right?',
}

/** kafkajs' own errors, by name: its clients speak to nobody but brokers. */
const KAFKA_AWAY =
  /^KafkaJS(Connection|ConnectionClosed|NumberOfRetriesExceeded|RequestTimeout|SASLAuthentication|Broker)/

/** Every table and view is a migration's. */
const NO_TABLE = /relation "\w+" does not exist/

/** Errors are shown on two lines at most: `message`, then the hint. */
export function describeError(error: unknown): {
  readonly message: string
  readonly hint: string
  readonly code: 1 | 2
} {
  if (error instanceof UserError) return { message: error.message, hint: error.hint, code: error.exitCode }
  const message = plainMessage(error)
  if (NO_TABLE.test(message)) return { message, hint: 'Run `sluice migrate up`.', code: 1 }
  if (error instanceof DependencyUnavailable) return { message, hint: dependencyHints[error.dependency], code: 1 }
  if (KAFKA_AWAY.test((error as Error).name))
    return { message: `Kafka: ${message}`, hint: dependencyHints.kafka, code: 1 }
  return { message, hint: '', code: 1 }
}

export function formatError(error: unknown): string {
  const { message, hint } = describeError(error)
  return `sluice: ${message}${hint ? `\n  ${hint}` : ''}`
}

/** Node reports a name with several addresses as an AggregateError without a message of its own. */
function plainMessage(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(plainMessage).join('; ')
  return errorMessage(error) || (error as { code?: string }).code || 'unknown error'
}
