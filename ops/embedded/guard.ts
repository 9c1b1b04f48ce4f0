/**
 * Child processes that cannot outlive us. Each runs under a small POSIX shell that holds the read end of a pipe from
 * this process: when the pipe ends, because we stop it or because we were killed with SIGKILL, the shell ends the child.
 * Rejected: PR_SET_PDEATHSIG (Linux only, not reachable from Node), polling the parent's pid (pids are used again).
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { openSync, closeSync } from 'node:fs'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'

/**
 * Descriptors: 0 the child's stdin, 1 and 2 its output, 3 the pipe that is watched, 4 where the child's pid is told.
 * Two pipes lead here (0 and 3) because Node switches its stdin to non-blocking, which a shared pipe would pass on to the
 * shell's `read` as an error. The watcher is a process of its own: it ends the child even if the shell is killed.
 */
const GUARD = `
signal=$1 tenths=$2; shift 2
exec 5<&0 0</dev/null
"$@" <&5 3<&- 4>&- 5<&- &
child=$!
exec 5<&-
echo "$child" >&4
(
  exec 4>&- >/dev/null 2>&1
  while read -r _ <&3; do :; done
  kill -s "$signal" "$child"
  while [ "$tenths" -gt 0 ] && kill -0 "$child"; do sleep 0.1; tenths=$((tenths - 1)); done
  kill -s KILL "$child"
) &
watcher=$!
exec 3<&- 4>&-
wait "$child"
status=$?
kill "$watcher" 2>/dev/null
exit "$status"
`

export interface Guarded {
  /** Of the child itself, not of its guard. */
  readonly pid: number
  /** The child's standard output when asked for with `stdout: 'pipe'`. */
  readonly stdout: Readable | null
  /** Settles once, with how it ended: `exit code 1`, `signal SIGKILL`. Never rejects. */
  readonly exited: Promise<string>
  readonly hasExited: () => boolean
  /** Ends the child: `stopSignal`, then SIGKILL after `graceMs`. Safe to call again. */
  stop(): Promise<void>
}

export interface GuardOptions {
  readonly command: string
  readonly args: readonly string[]
  readonly cwd?: string | undefined
  /** Appended to: standard error, and standard output unless it is piped. */
  readonly logFile: string
  readonly stdout?: 'log' | 'pipe'
  readonly stopSignal?: 'TERM' | 'INT'
  readonly graceMs?: number
}

/** Starts a child in a session of its own, so that Ctrl-C in the terminal reaches us and not the child. */
export async function spawnGuarded(options: GuardOptions): Promise<Guarded> {
  const { command, args, cwd, logFile, stdout = 'log', stopSignal = 'TERM', graceMs = 10_000 } = options
  const log = openSync(logFile, 'a')
  const shell = spawn('sh', ['-c', GUARD, 'guard', stopSignal, String(Math.ceil(graceMs / 100)), command, ...args], {
    cwd,
    detached: true,
    stdio: ['pipe', stdout === 'pipe' ? 'pipe' : log, log, 'pipe', 'pipe'],
  })
  closeSync(log)
  const ends = [shell.stdin, shell.stdio[3]] as Writable[]
  // The other side may be gone already: that is what we want of it.
  for (const end of ends) end.on('error', () => {})
  const close = () => ends.forEach((end) => end.destroy())

  let ended = false
  const exited = new Promise<string>((resolve) => {
    shell.once('error', (error) => resolve(`not started: ${error.message}`))
    shell.once('exit', (code, signal) => resolve(describeExit(code, signal)))
  }).then((how) => {
    ended = true
    close()
    return how
  })
  const pid = await readPid(shell, exited)
  return {
    pid,
    stdout: shell.stdout,
    exited,
    hasExited: () => ended,
    async stop() {
      close()
      await exited
    },
  }
}

/** A shell reports a child that died of signal N as exit code 128 + N. */
const describeExit = (code: number | null, signal: string | null) =>
  signal ? `signal ${signal}` : code !== null && code > 128 ? `signal ${code - 128}` : `exit code ${code}`

async function readPid(shell: ChildProcess, exited: Promise<string>): Promise<number> {
  const told = shell.stdio[4] as Readable
  const line = await Promise.race([once(told, 'data').then(([data]) => String(data)), exited])
  told.destroy()
  const pid = Number(line)
  if (!Number.isInteger(pid)) throw new Error(`the guard of a child process ended early: ${line}`)
  return pid
}
