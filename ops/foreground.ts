/** The life of a long-running command: signals, fatal errors, and an orderly end whatever happens. */
import { setTimeout as sleep } from 'node:timers/promises'
import { describeError, formatError } from './commands/hints.ts'
import { note } from './commands/output.ts'
import { isDebugging } from './config.ts'

/** Above a stage's drain: what has not stopped by then hangs on something that is gone, and the exit ends it. */
const CLEANUP_TIMEOUT_MS = 30_000

export interface Life {
  /** Runs at the end, last one first; a failure of one does not keep the others from running. */
  readonly defer: (what: string, cleanup: () => Promise<unknown>) => void
  /** Ends the command with an error: a stage or an embedded part died. */
  readonly fail: (error: Error) => void
  /** Resolves at the first SIGINT or SIGTERM. */
  readonly stopped: Promise<NodeJS.Signals>
}

interface Options {
  /** Exit code after a signal: 0 for commands that run until they are stopped, 130 for those that were cut short. */
  readonly codeOnSignal: 0 | 130
}

/** Runs `work` until it ends, fails, or a signal arrives; a second signal ends the process at once. */
export async function foreground(work: (life: Life) => Promise<void>, { codeOnSignal }: Options): Promise<never> {
  const cleanups: { what: string; cleanup: () => Promise<unknown> }[] = []
  const failure = Promise.withResolvers<never>()
  const signalled = Promise.withResolvers<NodeJS.Signals>()
  failure.promise.catch(() => {})
  // Neither a signal handler nor a promise keeps a process alive: Node would end it with code 13 and a warning.
  setInterval(() => {}, 3_600_000)
  let signals = 0
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => {
      signals += 1
      // Embedded parts watch a pipe to this process, so even this exit leaves none of them behind.
      if (signals > 1) process.exit(130)
      note(`\n${signal === 'SIGINT' ? 'Ctrl-C' : signal}: finishing what is in flight (again to leave at once)`)
      signalled.resolve(signal)
    })
  const life: Life = {
    defer: (what, cleanup) => void cleanups.push({ what, cleanup }),
    fail: failure.reject,
    stopped: signalled.promise,
  }
  let code = 0
  const ended = work(life).then(() => 'done' as const)
  ended.catch(() => {})
  try {
    const how = await Promise.race([ended, signalled.promise, failure.promise])
    if (how !== 'done') code = codeOnSignal
  } catch (error) {
    code = describeError(error).code
    note(formatError(error))
    if (isDebugging() && error instanceof Error) note(error.stack ?? '')
  }
  for (const { what, cleanup } of cleanups.reverse())
    await within(CLEANUP_TIMEOUT_MS, cleanup).catch((error: unknown) =>
      note(`sluice: stopping ${what}: ${describeError(error).message}`),
    )
  // The work may have set a code of its own: done, but not all is well.
  process.exit(code === 0 ? (process.exitCode ?? 0) : code)
}

async function within(timeoutMs: number, cleanup: () => Promise<unknown>): Promise<void> {
  const late = sleep(timeoutMs, undefined, { ref: false }).then(() => {
    throw new Error(`not done after ${timeoutMs / 1000} s, left behind`)
  })
  await Promise.race([cleanup(), late])
}
