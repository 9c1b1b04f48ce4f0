/** Which services a command talks to: those named in the environment, else those of a running `sluice up`. */
import type { Config } from './config.ts'
import { readEndpoints } from './embedded/endpoints.ts'
import type { Endpoints } from './embedded/endpoints.ts'
import { UserError } from '../streams/errors.ts'

export type Part = 'kafka' | 'registry' | 'postgres' | 'embeddings'

/** Parts that nothing in the environment replaces. */
export function embeddedParts(config: Config): Part[] {
  const parts: [Part, boolean][] = [
    ['kafka', config.kafka.brokers === undefined],
    ['registry', config.registry.url === undefined],
    ['postgres', config.postgres.url === undefined],
    ['embeddings', config.embeddings.embedded],
  ]
  return parts.filter(([, embedded]) => embedded).map(([part]) => part)
}

const variables: Record<Part, string> = {
  kafka: 'KAFKA_BROKERS',
  registry: 'SCHEMA_REGISTRY_URL',
  postgres: 'DATABASE_URL',
  embeddings: 'OPENAI_BASE_URL or OPENAI_API_KEY',
}

/** Settings in which every service that `needs` names is known. */
export type Connected = Config & {
  readonly kafka: { readonly brokers: readonly string[] }
  readonly registry: { readonly url: string }
  readonly postgres: { readonly url: string }
}

export function withEndpoints(config: Config, endpoints: Endpoints): Connected {
  return {
    ...config,
    kafka: { ...config.kafka, brokers: config.kafka.brokers ?? endpoints.brokers ?? [] },
    registry: { ...config.registry, url: config.registry.url ?? endpoints.registryUrl ?? '' },
    postgres: { ...config.postgres, url: config.postgres.url ?? endpoints.databaseUrl ?? '' },
    embeddings: {
      ...config.embeddings,
      baseUrl: config.embeddings.baseUrl ?? (config.embeddings.embedded ? endpoints.openaiBaseUrl : undefined),
      apiKey: config.embeddings.apiKey ?? (config.embeddings.embedded ? endpoints.openaiApiKey : undefined),
    },
  }
}

/** @throws UserError when a needed service is named nowhere and no `sluice up` runs on this data folder. */
export function connected(config: Config, needs: readonly Part[]): Connected {
  const missing = embeddedParts(config).filter((part) => needs.includes(part))
  if (missing.length === 0) return withEndpoints(config, {})
  const endpoints = readEndpoints(config.dataDir)
  if (endpoints) return withEndpoints(config, endpoints)
  throw new UserError(
    `nothing to talk to for ${missing.join(', ')}: no sluice is up on ${config.dataDir}`,
    `Start one with \`sluice up\` in another terminal, or set ${missing.map((part) => variables[part]).join(', ')}.`,
  )
}
