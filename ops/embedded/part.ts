/** What the embedded parts have in common: start, ask until ready, and say why if that fails. */
import { readFileSync, renameSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { UserError } from '../../streams/errors.ts'
import { spawnGuarded, type Guarded, type GuardOptions } from './guard.ts'

export type PartName = 'kafka' | 'registry' | 'postgres' | 'embeddings'

export interface RunningPart {
  readonly part: PartName
  readonly pid: number
  /** Settles when the process has ended, with how; never rejects. */
  readonly exited: Promise<string>
  stop(): Promise<void>
}

/** A JVM on a busy machine was ready after 12 s at worst; beyond this something is wrong. */
const READY_TIMEOUT_MS = 90_000
/** Between two asks; a refused loopback connection costs well under a millisecond. */
const ASK_EVERY_MS = 50
const TAIL_LINES = 15
const TAIL_LINE_CHARACTERS = 300

export interface StartOptions extends GuardOptions {
  readonly part: string
  /** One ask: true when the part does its work. Throwing means not yet. */
  readonly isReady: (process: Guarded) => Promise<boolean>
  readonly readyTimeoutMs?: number
  readonly signal?: AbortSignal | undefined
}

/** Starts a process and waits until it answers. @throws UserError with the end of its log. */
export async function startProcess(options: StartOptions): Promise<Guarded> {
  keepOneOldLog(options.logFile)
  const child = await spawnGuarded(options)
  const deadline = AbortSignal.timeout(options.readyTimeoutMs ?? READY_TIMEOUT_MS)
  while (!(await options.isReady(child).catch(() => false))) {
    if (child.hasExited()) throw partError(options, `ended while starting (${await child.exited})`)
    if (deadline.aborted || options.signal?.aborted) {
      await child.stop()
      throw partError(options, deadline.aborted ? 'did not become ready in time' : 'was stopped while starting')
    }
    await delay(ASK_EVERY_MS)
  }
  return child
}

export interface NodeServerOptions extends Pick<StartOptions, 'part' | 'logFile' | 'signal'> {
  /** Prints `{"port":N}` when it listens, ends when its standard input ends. */
  readonly script: string
  readonly args: readonly string[]
  readonly nodeFlags?: readonly string[]
  readonly answers: (port: number) => Promise<boolean>
}

/** One of this project's own servers, as a process of its own. */
export async function startNodeServer(options: NodeServerOptions): Promise<{ child: Guarded; port: number }> {
  let port: number | undefined
  let said: string | undefined
  const listen = (child: Guarded) => {
    said = ''
    child.stdout!.on('data', (data: Buffer) => {
      if (port !== undefined) return
      said += data.toString()
      if (said?.includes('\n')) port = Number((JSON.parse(said.split('\n')[0]!) as { port: number }).port)
    })
  }
  const child = await startProcess({
    ...options,
    command: process.execPath,
    args: [...(options.nodeFlags ?? []), options.script, ...options.args],
    stdout: 'pipe',
    async isReady(process) {
      if (said === undefined) listen(process)
      return port !== undefined && options.answers(port)
    },
  })
  return { child, port: port! }
}

/** Tries again, on other ports, what failed because its port was taken meanwhile; not when the port was asked for. */
export async function retryTakenPort<Part>(wanted: number | undefined, start: () => Promise<Part>): Promise<Part> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await start()
    } catch (error) {
      if (wanted !== undefined || attempt === 3 || !isPortTaken(error)) throw error
    }
  }
}

/** The error of a part that is no longer there. */
export const partError = ({ part, logFile }: { part: string; logFile: string }, what: string) =>
  new UserError(`the embedded ${part} ${what}`, `the end of ${logFile}:\n${logTail(logFile)}`)

/** Raised while starting because somebody else took the port between our choice and the part's bind. */
const isPortTaken = (error: unknown): boolean =>
  error instanceof UserError && /address already in use|EADDRINUSE|seems to be in use|BindException/i.test(error.hint)

function logTail(file: string): string {
  try {
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n').slice(-TAIL_LINES)
    return lines.map((line) => line.slice(0, TAIL_LINE_CHARACTERS)).join('\n')
  } catch (error) {
    return `(cannot be read: ${(error as Error).message})`
  }
}

/** Each start has a log of its own, the one before it stays: logs never grow over the restarts of a folder. */
function keepOneOldLog(file: string): void {
  try {
    renameSync(file, `${file}.1`)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
