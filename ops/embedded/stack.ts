/**
 * The embedded stack: every service that the environment does not name, started on this machine. One stack a data
 * folder; its parts start side by side and none outlives this process.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { errorMessage, UserError } from '../../streams/errors.ts'
import type { StartContext } from './context.ts'
import { startEmbeddings } from './embeddings.ts'
import { removeEndpoints, writeEndpoints, type Endpoints } from './endpoints.ts'
import { startKafka } from './kafka.ts'
import { lockFolder } from './lock.ts'
import { partError, retryTakenPort, type PartName, type RunningPart } from './part.ts'
import { startPglite } from './postgres.ts'
import { startRegistry } from './registry.ts'
import { checkRequirements } from './requirements.ts'

export type { Endpoints } from './endpoints.ts'
export type { PartName } from './part.ts'

export interface PartProgress {
  readonly part: PartName
  readonly state: 'downloading' | 'starting' | 'ready' | 'failed'
  /** For people: what is fetched, where it answers, what went wrong. */
  readonly detail: string
  /** Since `startStack` was called. */
  readonly elapsedMs: number
}

export interface StackOptions {
  /** Everything that must survive a restart. */
  readonly dataDir: string
  /** Downloads; may be shared between data folders. Default: `lib` in the data folder. */
  readonly libDir?: string
  readonly parts: readonly PartName[]
  readonly onProgress?: (progress: PartProgress) => void
  /** Free ones when not given. */
  readonly ports?: Partial<Record<PartName, number>>
  readonly heapMb?: { readonly kafka?: number; readonly registry?: number }
  /** Host and port that Kafka tells its clients, when a proxy stands in front of it. */
  readonly advertisedBroker?: { readonly host: string; readonly port: number }
  /** A stopped database that a new data folder starts from. */
  readonly postgresTemplateDir?: string
}

export interface Stack {
  readonly endpoints: Endpoints
  readonly processes: readonly { readonly part: PartName; readonly pid: number }[]
  /** Rejects when a part ends although nobody stopped it; never resolves. May be left unhandled. */
  readonly failed: Promise<never>
  /** Ends all parts, which write what they hold. Safe to call again. */
  readonly stop: () => Promise<void>
}

type StartedPart = RunningPart & { readonly endpoints: Endpoints }

/** @throws UserError when the machine lacks something, the folder is taken or not writable, or a part does not start. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { dataDir, parts, libDir = join(dataDir, 'lib') } = options
  await checkRequirements(parts, libDir)
  const unlock = takeFolder(dataDir)
  const abort = new AbortController()
  try {
    const started = await startAll(options, libDir, abort)
    const stack = running(started, dataDir, unlock)
    await publish(stack, dataDir)
    return stack
  } catch (error) {
    unlock()
    throw error
  }
}

async function publish(stack: Stack, dataDir: string): Promise<void> {
  try {
    writeEndpoints(dataDir, stack.endpoints)
  } catch (error) {
    await stack.stop()
    throw asUserError(error, dataDir)
  }
}

function takeFolder(dataDir: string): () => void {
  try {
    mkdirSync(join(dataDir, 'logs'), { recursive: true })
    return lockFolder(dataDir)
  } catch (error) {
    throw asUserError(error, dataDir)
  }
}

/** All parts, or none: the first failure stops those that run and those that still start. */
async function startAll(options: StackOptions, libDir: string, abort: AbortController): Promise<StartedPart[]> {
  const startedMs = performance.now()
  const failures: unknown[] = []
  const outcomes = await Promise.all(
    options.parts.map(async (part) => {
      const report = (state: PartProgress['state'], detail: string) =>
        options.onProgress?.({ part, state, detail, elapsedMs: Math.round(performance.now() - startedMs) })
      try {
        const started = await startPart(part, options, {
          libDir,
          logFile: join(options.dataDir, 'logs', `${part}.log`),
          signal: abort.signal,
          onDownload: (detail) => report('downloading', detail),
          onStart: () => report('starting', ''),
        })
        report('ready', address(started.endpoints))
        return started
      } catch (error) {
        if (!abort.signal.aborted) report('failed', errorMessage(error))
        failures.push(asUserError(error, options.dataDir))
        abort.abort()
        return undefined
      }
    }),
  )
  const started = outcomes.filter((part) => part !== undefined)
  if (failures.length === 0) return started
  await Promise.all(started.map((part) => part.stop()))
  throw failures[0]
}

const address = ({ brokers, registryUrl, databaseUrl, openaiBaseUrl }: Endpoints) =>
  brokers?.join(',') ?? registryUrl ?? databaseUrl ?? openaiBaseUrl ?? ''

function startPart(part: PartName, options: StackOptions, context: StartContext): Promise<StartedPart> {
  const port = options.ports?.[part]
  const dataDir = join(options.dataDir, part)
  const starters: Record<PartName, () => Promise<StartedPart>> = {
    async kafka() {
      const advertised = options.advertisedBroker
      const kafka = await startKafka({ ...context, dataDir, port, advertised, heapMb: options.heapMb?.kafka })
      return { ...kafka, endpoints: { brokers: kafka.brokers } }
    },
    async registry() {
      const registry = await startRegistry({ ...context, dataDir, port, heapMb: options.heapMb?.registry })
      return { ...registry, endpoints: { registryUrl: registry.url } }
    },
    async postgres() {
      const templateDir = options.postgresTemplateDir
      const postgres = await startPglite({ ...context, dataDir, port, templateDir })
      return { ...postgres, part, endpoints: { databaseUrl: postgres.url } }
    },
    async embeddings() {
      const embeddings = await startEmbeddings({ ...context, port })
      return { ...embeddings, endpoints: { openaiBaseUrl: embeddings.url, openaiApiKey: 'embedded' } }
    },
  }
  return retryTakenPort(port, starters[part])
}

function running(started: readonly StartedPart[], dataDir: string, unlock: () => void): Stack {
  let stopped: Promise<void> | undefined
  const failed = new Promise<never>((_, reject) => {
    for (const { part, exited } of started) {
      void exited.then((how) => {
        const logFile = join(dataDir, 'logs', `${part}.log`)
        if (!stopped) reject(partError({ part, logFile }, `has ended unexpectedly (${how})`))
      })
    }
  })
  failed.catch(() => {})
  // All at once: no part writes to another while it stops. The address goes first, the folder last.
  const stopAll = async () => {
    removeEndpoints(dataDir)
    await Promise.all(started.map((part) => part.stop()))
    unlock()
  }
  return {
    endpoints: started.reduce<Endpoints>((all, part) => ({ ...all, ...part.endpoints }), {}),
    processes: started.map(({ part, pid }) => ({ part, pid })),
    failed,
    stop: () => (stopped ??= stopAll()),
  }
}

/** The file system's own errors are about the data folder: say so. */
function asUserError(error: unknown, dataDir: string): unknown {
  const code = (error as NodeJS.ErrnoException).code
  const reasons: Record<string, string> = {
    ENOSPC: 'no space is left',
    EDQUOT: 'the quota is used up',
    EROFS: 'the file system is read-only',
    EACCES: 'permission denied',
    EPERM: 'not permitted',
    ENOTDIR: 'a part of the path is a file',
    EEXIST: 'a part of the path is a file',
  }
  if (error instanceof UserError || !code || !reasons[code]) return error
  return new UserError(
    `the data folder ${dataDir} cannot be used: ${reasons[code]} (${errorMessage(error)})`,
    'set SLUICE_DATA_DIR to a folder that can be written',
  )
}
