/**
 * JSON logs on stderr (stdout belongs to results). Lines about a record carry stage, tenant, topic, partition and offset;
 * with traces on, the ids of its span too. Secrets are taken out twice: by the names of fields, and by their values,
 * wherever a message of some client quotes them.
 */
import { context, trace } from '@opentelemetry/api'
import pino from 'pino'
import type { DestinationStream, Logger as PinoLogger } from 'pino'
import type { Logger } from '../streams/runtime/ports.ts'
import type { Config } from './config.ts'

const secretFields = ['password', 'apiKey', 'authorization', 'token', 'connectionString', 'databaseUrl', 'sasl']
const CENSOR = '[redacted]'

interface Options {
  /** Values that must not stand in any line. */
  readonly secrets?: readonly string[]
  readonly destination?: DestinationStream
}

export function createLogger(level: string, base: Record<string, unknown> = {}, options: Options = {}): PinoLogger {
  const { secrets = [], destination = pino.destination({ fd: 2, sync: true }) } = options
  return pino(
    {
      level,
      base,
      redact: { paths: secretFields.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: CENSOR },
      serializers: { error: (error: unknown) => (error instanceof Error ? pino.stdSerializers.err(error) : error) },
      formatters: { log: stringifyBigints },
      mixin: traceIds,
    },
    secrets.length > 0 ? scrubbed(destination, secrets) : destination,
  )
}

/** Without traces there is no span, and this costs nothing to speak of. */
function traceIds(): { trace_id: string; span_id: string } | object {
  const span = trace.getSpanContext(context.active())
  return span ? { trace_id: span.traceId, span_id: span.spanId } : {}
}

/** Offsets are bigints, which JSON cannot hold. */
function stringifyBigints(details: Record<string, unknown>): Record<string, unknown> {
  for (const [key, value] of Object.entries(details)) if (typeof value === 'bigint') details[key] = String(value)
  return details
}

/** As they are, as JSON escapes them, and as a URL does. */
function scrubbed(destination: DestinationStream, secrets: readonly string[]): DestinationStream {
  const forms = secrets.flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)])
  const longestFirst = [...new Set(forms)].sort((a, b) => b.length - a.length)
  return {
    write: (line) => destination.write(longestFirst.reduce((left, form) => left.replaceAll(form, CENSOR), line)),
  }
}

/** Shorter ones are words of every second line; whoever has such a password has no secret to lose. */
const LEAST_SECRET = 8

/** What of the settings must never be read by anybody else. */
export function secretsOf({ postgres, embeddings, kafka, registry, admin }: Config): string[] {
  const database = postgres.url === undefined ? undefined : new URL(postgres.url)
  const ofDatabase = database && database.password !== database.username ? decodeURIComponent(database.password) : ''
  const password = kafka.sasl ? kafka.sasl.password : ''
  return [ofDatabase, embeddings.apiKey, password, registry.password, admin.token].filter(
    (secret) => secret !== undefined && secret.length >= LEAST_SECRET,
  ) as string[]
}

/** Every line tells which stage it is about. */
export function stageLogger(logger: Logger, stage: string): Logger {
  const at =
    (level: keyof Logger): Logger[typeof level] =>
    (details, message) =>
      logger[level]({ stage, ...details }, message)
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}
