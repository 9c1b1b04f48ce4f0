/** Stages in a process of their own, which can be killed. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { StageName } from '../../streams/topology.ts'
import { testEnvironment } from './environment.ts'

const cli = join(import.meta.dirname, '..', 'bin', 'sluice.mjs')

/** Resolves once the stages run. @throws with the end of their log when they end before. */
export async function spawnStages(
  names: readonly StageName[],
  env: Record<string, string>,
  children: Set<ChildProcess>,
) {
  const child = spawn(process.execPath, [cli, 'run', ...names], {
    env: { PATH: process.env['PATH'], ...env, LOG_LEVEL: 'info' },
    stdio: ['ignore', 'inherit', 'pipe'],
  })
  children.add(child)
  let log = ''
  const running = Promise.withResolvers<void>()
  child.stderr.on('data', (data: Buffer) => {
    log += data.toString()
    if (testEnvironment.logLevel !== 'silent') process.stderr.write(data)
    if (log.includes('"msg":"running"')) running.resolve()
  })
  void once(child, 'exit').then(([code, signal]) => {
    children.delete(child)
    running.reject(
      new Error(`stages ${names.join(',')} ended (${code ?? signal}) before they ran:\n${log.slice(-2_000)}`),
    )
  })
  await running.promise
  return {
    pid: child.pid!,
    log: () => log,
    signal: (signal: NodeJS.Signals) => void child.kill(signal),
    /** @returns exit code, or null after a signal. */
    end: (signal: NodeJS.Signals) => end(child, signal),
  }
}

export async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
  const exited = once(child, 'exit')
  child.kill(signal)
  await exited
  return child.exitCode
}
