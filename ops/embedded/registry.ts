/** Apicurio as schema registry; clients use its Confluent-compatible API. */
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { request } from 'undici'
import { UserError } from '../../streams/errors.ts'
import type { StartContext } from './context.ts'
import { jvmFlags } from './kafka.ts'
import { registryLibrary } from './library.ts'
import { startProcess, type RunningPart } from './part.ts'
import { freePort, LOOPBACK } from './ports.ts'

export interface RegistryOptions extends StartContext {
  readonly dataDir: string
  /** A free port when not given. */
  readonly port?: number | undefined
  readonly heapMb?: number | undefined
}

export async function startRegistry(options: RegistryOptions): Promise<RunningPart & { readonly url: string }> {
  const folder = await registryLibrary(options)
  options.onStart?.()
  const runner = (await readdir(folder)).find((name) => name.endsWith('-runner.jar'))
  if (!runner) throw new UserError(`no runner jar in ${folder}`, 'remove that folder to fetch it again')
  const port = await freePort(options.port)
  await mkdir(options.dataDir, { recursive: true })
  const url = `http://${LOOPBACK}:${port}/apis/ccompat/v7`

  const child = await startProcess({
    part: 'registry',
    command: 'java',
    args: [...jvmFlags(options.heapMb ?? 256), ...settings(options.dataDir, port), '-jar', runner],
    cwd: folder,
    logFile: options.logFile,
    signal: options.signal,
    isReady: () => answers(`${url}/subjects`),
  })
  return { part: 'registry', url, ...child }
}

/**
 * The database is a file: in memory, its default, ids would start over and name other schemas than the records in Kafka
 * mean. System properties, not environment variables: they win whatever the environment holds.
 */
const settings = (dataDir: string, port: number) => [
  `-Dquarkus.http.host=${LOOPBACK}`,
  `-Dquarkus.http.port=${port}`,
  `-DREGISTRY_DATASOURCE_URL=jdbc:h2:file:${join(dataDir, 'registry')}`,
  '-Dquarkus.log.level=WARN',
  '-Dquarkus.banner.enabled=false',
  '-Dquarkus.vertx.event-loops-pool-size=2',
  '-Dquarkus.thread-pool.max-threads=16',
]

async function answers(url: string): Promise<boolean> {
  const { statusCode, body } = await request(url, { headersTimeout: 5_000, bodyTimeout: 5_000 })
  await body.dump()
  return statusCode === 200
}
