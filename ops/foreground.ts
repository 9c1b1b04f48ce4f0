/** The life of a long-running command: signals, fatal errors, and an orderly end whatever happens. */
import { errorMessage } from '../streams/errors.ts'
import { note } from './commands/output.ts'

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
    code = (error as { exitCode?: number }).exitCode ?? 1
    const hint = (error as { hint?: string }).hint
    note(`sluice: ${errorMessage(error)}${hint ? `\n  ${hint}` : ''}`)
  }
  for (const { what, cleanup } of cleanups.reverse())
    await cleanup().catch((error: unknown) => note(`sluice: stopping ${what}: ${errorMessage(error)}`))
  process.exit(code)
}
