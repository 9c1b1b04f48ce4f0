/** What the machine must have before the embedded Kafka and registry can start. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { UserError } from '../../streams/errors.ts'
import { KAFKA_FOLDER, REGISTRY_FOLDER } from './library.ts'
import { runTool } from './run-tool.ts'

/** Kafka 4's brokers need 17. */
const JAVA_VERSION = 17

/** Maven is asked for only if something is still to be fetched. @throws UserError naming everything that is missing. */
export async function checkRequirements(parts: readonly string[], libDir: string): Promise<void> {
  const folders = [
    ...(parts.includes('kafka') ? [KAFKA_FOLDER] : []),
    ...(parts.includes('registry') ? [REGISTRY_FOLDER] : []),
  ]
  if (folders.length === 0) return
  const toFetch = folders.some((folder) => !existsSync(join(libDir, folder)))
  const [java, maven] = await Promise.all([javaProblem(), toFetch ? mavenProblem() : undefined])
  const problems = [java, maven].filter((problem) => problem !== undefined)
  if (problems.length === 0) return
  throw new UserError(
    `the embedded Kafka and schema registry cannot start here: ${problems.join('; ')}`,
    [
      'either install what is missing (Debian, Ubuntu: `apt-get install openjdk-17-jre-headless maven`),',
      'or bring your own: set KAFKA_BROKERS and SCHEMA_REGISTRY_URL, for which `docker compose up` starts both',
    ].join('\n'),
  )
}

async function javaProblem(): Promise<string | undefined> {
  const { missing, code, output } = await runTool('java', ['-version'])
  if (missing) return `no \`java\` on the PATH (${JAVA_VERSION} or newer is needed)`
  const version = parseJavaVersion(output)
  if (code !== 0 || version === undefined) return `\`java -version\` failed: ${output.trim().split('\n')[0]}`
  return version < JAVA_VERSION ? `\`java\` is version ${version} (${JAVA_VERSION} or newer is needed)` : undefined
}

async function mavenProblem(): Promise<string | undefined> {
  const { missing } = await runTool('mvn', ['--version'])
  return missing ? 'no `mvn` (Maven) on the PATH, needed once to fetch them' : undefined
}

/** `openjdk version "17.0.15"` → 17; up to Java 8 it was `java version "1.8.0_402"` → 8. */
export function parseJavaVersion(output: string): number | undefined {
  const [, major, minor] = /version "(\d+)(?:\.(\d+))?/.exec(output) ?? []
  if (major === undefined) return undefined
  return major === '1' ? Number(minor) : Number(major)
}
