/**
 * Downloaded programs, kept between runs. A folder either is complete or does not exist: a download is filled under
 * another name and renamed. Nothing is fetched twice, also when two processes ask at the same moment.
 */
import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '../../streams/errors.ts'
import type { StartContext } from './context.ts'
import { isAlive } from './endpoints.ts'
import { runTool } from './run-tool.ts'

const POM = join(import.meta.dirname, 'pom.xml')
/** Folder names carry the version, so that a new version is fetched beside the old one. */
export const KAFKA_FOLDER = 'kafka-4.1.0'
const KAFKA_TOOLS_FOLDER = 'kafka-tools-4.1.0'
export const REGISTRY_FOLDER = 'apicurio-registry-2.6.13.Final'

type LibraryContext = Pick<StartContext, 'libDir' | 'onDownload' | 'signal'>

/** @returns the folder of Kafka's jars. */
export const kafkaLibrary = (context: LibraryContext): Promise<string> =>
  provide(context, KAFKA_FOLDER, (folder) => fetchWithMaven('kafka', folder, context.signal))

/** @returns the folder of the jar with Kafka's own commands; they need those of `kafkaLibrary` beside it. */
export const kafkaToolsLibrary = (context: LibraryContext): Promise<string> =>
  provide(context, KAFKA_TOOLS_FOLDER, (folder) => fetchWithMaven('kafka-tools', folder, context.signal))

/** @returns the folder of the registry's runner jar and its `lib`. */
export const registryLibrary = (context: LibraryContext): Promise<string> =>
  provide(context, REGISTRY_FOLDER, async (folder) => {
    await fetchWithMaven('registry', folder, context.signal)
    const archive = (await readdir(folder)).find((name) => name.endsWith('.tar.gz'))
    if (!archive)
      throw new UserError(
        'Maven delivered no archive of the schema registry',
        'Try again; or name a registry in SCHEMA_REGISTRY_URL.',
      )
    const unpacked = await runTool('tar', ['-xzf', join(folder, archive), '-C', folder])
    if (unpacked.code !== 0)
      throw new UserError(
        `the registry's archive cannot be unpacked:\n${unpacked.output}`,
        'Is there room on the disk? Try again; or name a registry in SCHEMA_REGISTRY_URL.',
      )
    await rm(join(folder, archive))
  })

/** `<libDir>/<name>`, filled by `fill` if it is not there yet. */
export async function provide(
  { libDir, onDownload = () => {} }: LibraryContext,
  name: string,
  fill: (folder: string) => Promise<void>,
): Promise<string> {
  const target = join(libDir, name)
  if (existsSync(target)) return target
  onDownload(`fetching ${name} into ${libDir}`)
  await mkdir(libDir, { recursive: true })
  await removeAbandoned(libDir, name)
  const partial = join(libDir, `${name}.partial-${process.pid}-${++downloads}`)
  try {
    await rm(partial, { recursive: true, force: true })
    await mkdir(partial)
    await fill(partial)
    await rename(partial, target)
  } catch (error) {
    await rm(partial, { recursive: true, force: true })
    // Another process was quicker: its folder is as complete as ours.
    if (!existsSync(target)) throw error
  }
  return target
}

let downloads = 0

/** Left by downloads whose process died. */
async function removeAbandoned(libDir: string, name: string): Promise<void> {
  for (const entry of await readdir(libDir)) {
    const pid = entry.startsWith(`${name}.partial-`) ? Number(entry.split('-').at(-2)) : undefined
    if (pid !== undefined && !isAlive(pid)) await rm(join(libDir, entry), { recursive: true, force: true })
  }
}

/** Maven 3.8 does not lock its local repository: our own runs go one after the other. */
let lastMavenRun: Promise<unknown> = Promise.resolve()

async function fetchWithMaven(
  profile: 'kafka' | 'kafka-tools' | 'registry',
  folder: string,
  signal?: AbortSignal,
): Promise<void> {
  const args = [
    ...['--batch-mode', '--quiet', '--strict-checksums', '--file', POM, '--activate-profiles', profile],
    ...['dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${folder}`],
  ]
  const run = lastMavenRun.then(() => runTool('mvn', args, { guarded: true, signal }))
  lastMavenRun = run
  const { code, output } = await run
  if (code !== 0)
    throw new UserError(
      `Maven could not fetch ${profile}:\n${output.trim()}`,
      'check the network and Maven’s settings (~/.m2/settings.xml, MAVEN_OPTS), or use `docker compose up`',
    )
}
