/**
 * All settings in one place: defaults with their units in the names and the reason beside them. The environment is read
 * here and nowhere else, validated once, and ALL problems are reported together.
 */
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { UserError } from '../streams/errors.ts'

export const defaults = {
  kafka: {
    /** A killed member costs this long before its pages move again; living but slow members heartbeat well within. */
    sessionTimeoutMs: 10_000,
    heartbeatIntervalMs: 3_000,
    rebalanceTimeoutMs: 60_000,
    /** Resuming a partition takes up to this long: the fetch loop sleeps it when all partitions are paused. */
    maxWaitMs: 500,
    /** What one fetch of a partition brings; its window takes many. */
    maxBytesPerPartition: 1024 * 1024,
    requestTimeoutMs: 30_000,
  },
  runtime: {
    /** Longest a single record may take; far below rebalanceTimeoutMs, above the slowest dependency's own timeout. */
    recordTimeoutMs: 45_000,
    drainTimeoutMs: 20_000,
    /** Delays before attempts 2, 3, 4; after the last one the record goes to the dead letters. */
    retryDelaysMs: [1_000, 10_000, 60_000] as readonly number[],
    /** A partition whose record met a dependency that failed once or twice takes this breath, ± half. */
    breathMs: 500,
    /** Partitions resume one at a time, this far apart. */
    resumeGapMs: 50,
  },
  breaker: {
    /** Failures in a row, none of them a success between: one lost connection is no outage. */
    tripAfter: 3,
    /** Waits before ONE process of the fleet tries again: doubling, with jitter; a Retry-After of any length wins. */
    minMs: 500,
    maxMs: 15_000,
  },
  processor: {
    /** Per page, in a worker; p99 of real article pages is below 1 s. A page past it goes to the dead letters. */
    extractTimeoutMs: 20_000,
    workerMemoryMb: 768,
    workers: Math.max(1, Math.min(4, availableParallelism())),
  },
  chunker: {
    /** Children are matched, parents returned. 165 gives a mean near 150 and at most about 200 tokens. */
    childTokens: 165,
    parentTokens: 1000,
    /** Pages in hand in one process, so that their embeddings go in batches; what reaches the API is the budgets' affair. */
    maxInFlight: 24,
  },
  embeddings: {
    /** OpenAI's limits are 2,048 inputs, 300,000 tokens a request and 8,192 tokens an input. */
    maxInputsPerRequest: 256,
    maxTokensPerRequest: 250_000,
    maxTokensPerInput: 8_192,
    /** A batch waits this long for company before it is sent. */
    lingerMs: 15,
    requestTimeoutMs: 30_000,
    /** The adaptive limit begins with what any provider takes from a newcomer, and finds the knee by itself. */
    initialInFlight: 4,
    adaptiveMaxInFlight: 64,
    /** With a limit on tokens alone, a request takes this much of its time: small enough to be even. */
    paceMs: 250,
  },
  postgres: {
    initialInFlight: 2,
    /** Bound of the adaptive limit. */
    adaptiveMaxInFlight: 8,
    /** Connections beside those: the budgets' leases, claims of partitions, commands. */
    poolSpare: 2,
    connectTimeoutMs: 5_000,
    statementTimeoutMs: 15_000,
    lockTimeoutMs: 10_000,
    idleInTransactionTimeoutMs: 20_000,
  },
  crawler: {
    maxPages: 1000,
    maxDepth: 10,
    /** Pages fetched at once by one process, over all hosts; per host it is one at a time unless the host is allowed by name. */
    maxInFlight: 8,
    hostDelayMs: 250,
    /** Above the longest fetch (60 s in all): a crash means that the page is fetched again after it. */
    leaseMs: 90_000,
    /** Other instances admit work without telling us: look this often. */
    pollMs: 500,
    /** Waits before a failed fetch's attempts 2, 3, 4. */
    retryDelaysMs: [2_000, 15_000, 120_000] as readonly number[],
    userAgent: 'sluice/0.1',
  },
} as const

/** Offline model: feature hashing over words, so similarity is lexical. 512 keeps 200 pages small and collisions rare. */
const OFFLINE_MODEL = { model: 'sluice-hash-v1', dimensions: 512 }
const HOSTED_MODEL = { model: 'text-embedding-3-small', dimensions: 1536 }

const positive = z.coerce.number().int().positive()
const flag = z.enum(['true', 'false', '1', '0']).transform((value) => value === 'true' || value === '1')
const list = z.string().transform((text) =>
  text
    .split(',')
    .map((one) => one.trim())
    .filter(Boolean),
)
const lowerCaseList = list.transform((names) => names.map((name) => name.toLowerCase()))
const environment = z.object({
  KAFKA_BROKERS: z
    .string()
    .regex(/^[^\s,:]+:\d+(,[^\s,:]+:\d+)*$/, 'must be host:port[,host:port…]')
    .optional(),
  KAFKA_SSL: flag.optional(),
  KAFKA_SASL_MECHANISM: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']).optional(),
  KAFKA_USERNAME: z.string().optional(),
  KAFKA_PASSWORD: z.string().optional(),
  SCHEMA_REGISTRY_URL: z.url({ protocol: /^https?$/ }).optional(),
  SCHEMA_REGISTRY_USERNAME: z.string().optional(),
  SCHEMA_REGISTRY_PASSWORD: z.string().optional(),
  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/ }).optional(),
  OPENAI_API_KEY: z.string().optional(),
  OPENAI_BASE_URL: z.url({ protocol: /^https?$/ }).optional(),
  EMBEDDING_MODEL: z.string().optional(),
  EMBEDDING_DIMENSIONS: positive.max(4000).optional(),
  EMBEDDING_REQUESTS_PER_MINUTE: positive.optional(),
  EMBEDDING_TOKENS_PER_MINUTE: positive.optional(),
  EMBEDDING_MAX_IN_FLIGHT: positive.optional(),
  EMBEDDING_PRICE_PER_MILLION: z.coerce.number().nonnegative().optional(),
  CHUNK_CHILD_TOKENS: positive.min(20).max(8_000).optional(),
  CHUNK_PARENT_TOKENS: positive.min(20).max(100_000).optional(),
  PAGES_PER_SECOND: z.coerce.number().positive().optional(),
  DATABASE_MAX_IN_FLIGHT: positive.optional(),
  CRAWL_CONTACT_URL: z.url({ protocol: /^https?$/ }).optional(),
  CRAWL_ALLOW_HOSTS: lowerCaseList.optional(),
  ADMIN_HOST: z.string().optional(),
  ADMIN_PORT: z.coerce.number().int().min(0).max(65535).optional(),
  ADMIN_TOKEN: z.string().min(16, 'must have at least 16 characters').optional(),
  ADMIN_ALLOWED_HOSTS: lowerCaseList
    .refine((names) => names.every((name) => /^[a-z\d._-]+$/.test(name)), 'must be host names without ports')
    .optional(),
  METRICS_TENANTS: list.optional(),
  METRICS_TOP_TENANTS: z.coerce.number().int().min(0).max(100).optional(),
  // Free text, all of them: the standard wants what is not understood to be passed over, not to keep anybody from starting.
  OTEL_SDK_DISABLED: z.string().optional(),
  OTEL_TRACES_EXPORTER: z.string().optional(),
  OTEL_EXPORTER_OTLP_ENDPOINT: z.string().optional(),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: z.string().optional(),
  OTEL_EXPORTER_OTLP_PROTOCOL: z.string().optional(),
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: z.string().optional(),
  OTEL_TRACES_SAMPLER: z.string().optional(),
  OTEL_TRACES_SAMPLER_ARG: z.string().optional(),
  OTEL_BSP_SCHEDULE_DELAY: z.string().optional(),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).optional(),
  SLUICE_DATA_DIR: z.string().optional(),
  SLUICE_TOPIC_PREFIX: z
    .string()
    .regex(/^[a-zA-Z0-9._-]*$/, 'may hold letters, digits, . _ - only')
    .optional(),
  SLUICE_PARTITIONS: positive.max(1000).optional(),
})

export type Environment = z.infer<typeof environment>
export type Config = ReturnType<typeof derive>

/** Reads and validates the environment. @throws UserError naming every problem at once. */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const problems: string[] = []
  const values = withSecretFiles(env, problems)
  const parsed = environment.safeParse(values)
  for (const issue of parsed.error?.issues ?? []) problems.push(`${issue.path.join('.')}: ${issue.message}`)
  const { KAFKA_SASL_MECHANISM, KAFKA_USERNAME, KAFKA_PASSWORD, ADMIN_HOST, ADMIN_TOKEN } = values
  if (KAFKA_SASL_MECHANISM && !(KAFKA_USERNAME && KAFKA_PASSWORD))
    problems.push('KAFKA_SASL_MECHANISM: needs KAFKA_USERNAME and KAFKA_PASSWORD too')
  if (ADMIN_HOST && !isLoopback(ADMIN_HOST) && !ADMIN_TOKEN)
    problems.push('ADMIN_HOST: an address beyond loopback needs ADMIN_TOKEN')
  if (problems.length > 0 || !parsed.success)
    throw new UserError(
      `the environment has ${problems.length} problem(s):\n  ${problems.join('\n  ')}`,
      'Correct or unset them, then try again.',
      2,
    )
  return derive(parsed.data)
}

/** `X_FILE` names a file that holds X's value, so that secrets need not stand in the environment. */
function withSecretFiles(env: NodeJS.ProcessEnv, problems: string[]): Record<string, string> {
  const values: Record<string, string> = {}
  for (const name of Object.keys(environment.shape)) {
    const file = env[`${name}_FILE`]
    const value = env[name]
    if (value !== undefined && value !== '') values[name] = value
    else if (file) {
      try {
        values[name] = readFileSync(file, 'utf8').trim()
      } catch (error) {
        problems.push(`${name}_FILE: ${(error as Error).message}`)
      }
    }
  }
  return values
}

const isLoopback = (host: string) => host === 'localhost' || host === '::1' || host.startsWith('127.')

function derive(env: Environment) {
  const hosted = env.OPENAI_API_KEY !== undefined || env.OPENAI_BASE_URL !== undefined
  const model = hosted ? HOSTED_MODEL : OFFLINE_MODEL
  const dataDir = resolve(env.SLUICE_DATA_DIR ?? join(import.meta.dirname, '..', '.sluice'))
  return {
    ...defaults,
    dataDir,
    /** Downloads of the embedded parts; the demo and tests have data folders of their own and share these. */
    libDir: join(dataDir, 'lib'),
    logLevel: env.LOG_LEVEL ?? ('info' as const),
    topicPrefix: env.SLUICE_TOPIC_PREFIX ?? '',
    partitions: env.SLUICE_PARTITIONS,
    kafka: {
      ...defaults.kafka,
      brokers: env.KAFKA_BROKERS?.split(','),
      ssl: env.KAFKA_SSL ?? false,
      sasl: env.KAFKA_SASL_MECHANISM && {
        mechanism: env.KAFKA_SASL_MECHANISM,
        username: env.KAFKA_USERNAME ?? '',
        password: env.KAFKA_PASSWORD ?? '',
      },
    },
    registry: {
      url: env.SCHEMA_REGISTRY_URL,
      username: env.SCHEMA_REGISTRY_USERNAME,
      password: env.SCHEMA_REGISTRY_PASSWORD,
    },
    postgres: {
      ...defaults.postgres,
      url: env.DATABASE_URL,
      // Nothing waits for a connection below the limit: there are as many as it may let through at once.
      poolMax:
        Math.max(defaults.postgres.adaptiveMaxInFlight, env.DATABASE_MAX_IN_FLIGHT ?? 0) + defaults.postgres.poolSpare,
      maxInFlight: env.DATABASE_MAX_IN_FLIGHT,
    },
    embeddings: {
      ...defaults.embeddings,
      adaptiveMaxInFlight: defaults.embeddings.adaptiveMaxInFlight as number,
      apiKey: env.OPENAI_API_KEY,
      baseUrl: env.OPENAI_BASE_URL,
      /** Neither a key nor a base URL is set: the embedded offline server is used. */
      embedded: !hosted,
      model: env.EMBEDDING_MODEL ?? model.model,
      dimensions: env.EMBEDDING_DIMENSIONS ?? model.dimensions,
      maxInFlight: env.EMBEDDING_MAX_IN_FLIGHT,
      requestsPerMinute: env.EMBEDDING_REQUESTS_PER_MINUTE,
      tokensPerMinute: env.EMBEDDING_TOKENS_PER_MINUTE,
      /** What a million tokens cost, in whatever currency; for estimates alone. */
      pricePerMillion: env.EMBEDDING_PRICE_PER_MILLION,
    },
    pagesPerSecond: env.PAGES_PER_SECOND,
    /** Part of every budget that this process asks for at most, beside others. */
    mostOfBudgets: 1 as number,
    chunker: {
      ...defaults.chunker,
      /** Another size is another configuration: new pages get it at once, stored ones when they are replayed. */
      childTokens: env.CHUNK_CHILD_TOKENS ?? defaults.chunker.childTokens,
      parentTokens: env.CHUNK_PARENT_TOKENS ?? defaults.chunker.parentTokens,
      maxInFlight: defaults.chunker.maxInFlight as number,
    },
    crawler: {
      ...defaults.crawler,
      /** Site owners look for whom to write to (RFC 9309 2.2.1). */
      userAgent: defaults.crawler.userAgent + (env.CRAWL_CONTACT_URL ? ` (+${env.CRAWL_CONTACT_URL})` : ''),
      allowHosts: env.CRAWL_ALLOW_HOSTS ?? [],
    },
    metrics: {
      /** Named in metrics by their ids; with none given, those that do most. All others are `other`. */
      tenants: env.METRICS_TENANTS ?? [],
      topTenants: env.METRICS_TOP_TENANTS ?? 10,
    },
    tracing: {
      enabled:
        env.OTEL_SDK_DISABLED?.toLowerCase() !== 'true' &&
        env.OTEL_TRACES_EXPORTER !== 'none' &&
        (env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? env.OTEL_EXPORTER_OTLP_ENDPOINT) !== undefined,
      protocol: env.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL ?? env.OTEL_EXPORTER_OTLP_PROTOCOL ?? 'http/protobuf',
      sampler: env.OTEL_TRACES_SAMPLER ?? 'parentbased_always_on',
      samplerArgument: env.OTEL_TRACES_SAMPLER_ARG,
      /** NaN: not understood, which is said once tracing starts. */
      batchDelayMs: env.OTEL_BSP_SCHEDULE_DELAY === undefined ? undefined : Number(env.OTEL_BSP_SCHEDULE_DELAY),
    },
    admin: {
      host: env.ADMIN_HOST ?? '127.0.0.1',
      port: env.ADMIN_PORT ?? 0,
      token: env.ADMIN_TOKEN,
      allowedHosts: env.ADMIN_ALLOWED_HOSTS ?? [],
    },
  }
}

/** LOG_LEVEL asks for stacks too; readable even when the rest of the environment is not valid. */
export const isDebugging = (env: NodeJS.ProcessEnv = process.env) => ['debug', 'trace'].includes(env['LOG_LEVEL'] ?? '')

/** Every variable that is read. */
export const environmentNames: readonly string[] = Object.keys(environment.shape)
