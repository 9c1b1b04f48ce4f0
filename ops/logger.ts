/** JSON logs on stderr (stdout belongs to results), secrets redacted. */
import pino from 'pino'
import type { Logger } from 'pino'

const secrets = ['password', 'apiKey', 'authorization', 'token', 'connectionString', 'databaseUrl', 'sasl']

export function createLogger(level: string, base: Record<string, unknown> = {}): Logger {
  return pino(
    {
      level,
      base,
      redact: { paths: secrets.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[redacted]' },
      serializers: { error: (error: unknown) => (error instanceof Error ? pino.stdSerializers.err(error) : error) },
      formatters: { log: stringifyBigints },
    },
    pino.destination({ fd: 2, sync: true }),
  )
}

/** Offsets are bigints, which JSON cannot hold. */
function stringifyBigints(details: Record<string, unknown>): Record<string, unknown> {
  for (const [key, value] of Object.entries(details)) if (typeof value === 'bigint') details[key] = String(value)
  return details
}
