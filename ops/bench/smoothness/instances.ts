/** Instances of the stages as processes of their own, and the operators' commands, in an environment that is stated whole. */
import { existsSync, openSync, closeSync, readFileSync } from 'node:fs'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { spawnGuarded } from '../../embedded/guard.ts'
import type { Guarded } from '../../embedded/guard.ts'
import { getJson } from './http-json.ts'

export type Environment = Readonly<Record<string, string>>

export interface Instance {
  /** In its groups, with partitions. */
  readonly ready: () => Promise<void>
  /** SIGKILL, as in a crash. */
  readonly kill: () => Promise<void>
  /** SIGTERM, as in a deploy: it drains first. */
  readonly stop: () => Promise<void>
}

const cli = join(import.meta.dirname, '..', '..', 'bin', 'sluice.mjs')
const START_TIMEOUT_MS = 90_000
/** A rebalance makes the others leave and join again: ready is who is ready twice, this far apart. */
const SETTLE_MS = 500

/** Nothing of the developer's own environment reaches it. */
const inEnvironment = (environment: Environment, args: readonly string[]): string[] => [
  '-i',
  ...Object.entries(environment).map(([name, value]) => `${name}=${value}`),
  process.execPath,
  ...args,
]

/** `sluice run processor chunker`; ends with this process, however that ends. */
export async function startInstance(environment: Environment, logFile: string): Promise<Instance> {
  const args = inEnvironment({ LOG_LEVEL: 'info', ...environment }, [cli, 'run', 'processor', 'chunker'])
  // Once the bench has gone there is nothing to drain for.
  const child = await spawnGuarded({ command: 'env', args, logFile, graceMs: 200 })
  return {
    ready: () => waitReady(child, logFile),
    kill: () => signal(child, 'SIGKILL'),
    stop: () => signal(child, 'SIGTERM'),
  }
}

async function signal(child: Guarded, name: NodeJS.Signals): Promise<void> {
  if (!child.hasExited()) process.kill(child.pid, name)
  await child.exited
}

async function waitReady(child: Guarded, logFile: string): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS
  for (let inRow = 0; inRow < 2;) {
    if (child.hasExited()) throw new Error(`an instance ended (${await child.exited}):\n${tail(logFile)}`)
    if (Date.now() > deadline) throw new Error(`an instance was not ready in time:\n${tail(logFile)}`)
    const port = adminPort(logFile)
    const ready = port !== undefined && (await isReady(port))
    inRow = ready ? inRow + 1 : 0
    await sleep(ready ? SETTLE_MS : 100)
  }
}

const isReady = (port: string) =>
  getJson(`http://127.0.0.1:${port}/readyz`).then(
    () => true,
    () => false,
  )

function adminPort(logFile: string): string | undefined {
  if (!existsSync(logFile)) return undefined
  const running = readFileSync(logFile, 'utf8').match(/^.*"msg":"running".*$/m)?.[0]
  return running && /"adminPort":(\d+)/.exec(running)?.[1]
}

const tail = (file: string) => readFileSync(file, 'utf8').slice(-1_500)

/** A command of the operators', such as `pause chunker`. @throws when it does not end with 0. */
export async function runCommand(environment: Environment, command: readonly string[], logFile: string): Promise<void> {
  const log = openSync(logFile, 'a')
  const args = inEnvironment({ LOG_LEVEL: 'warn', ...environment }, [cli, ...command])
  const child = spawn('env', args, { stdio: ['ignore', log, log] })
  closeSync(log)
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`sluice ${command.join(' ')} ended with ${code}: ${tail(logFile).trim()}`)
}
