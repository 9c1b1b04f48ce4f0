/** PGlite as a process: PostgreSQL compiled to WebAssembly, with pgvector, behind the wire protocol. */
import { constants, cpSync, existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import pg from 'pg'
import type { StartContext } from './context.ts'
import type { Guarded } from './guard.ts'
import { provide } from './library.ts'
import { partError, startNodeServer } from './part.ts'
import { freePort, LOOPBACK } from './ports.ts'
import { runTool } from './run-tool.ts'

const SERVER = join(import.meta.dirname, 'pglite-server.ts')
/** An empty database, made once: copying it takes 0.1 s, making it 2 to 3 s. */
const EMPTY_DATABASE = 'pglite-0.5.14-empty'
/** Row data passes through the JavaScript heap; the database itself is outside of it, in the engine's memory. */
const HEAP_MB = 768

export interface PgliteOptions extends StartContext {
  /** Folder of the database; made when it does not exist. */
  readonly dataDir: string
  /** A free port when not given. */
  readonly port?: number | undefined
  /** A stopped database to start from when `dataDir` does not exist yet, in place of an empty one. */
  readonly templateDir?: string | undefined
}

export interface RunningPglite {
  readonly url: string
  readonly pid: number
  readonly exited: Promise<string>
  stop(): Promise<void>
}

/** The database in `dataDir`, which survives this process; committed data also survives its SIGKILL. */
export async function startPglite(options: PgliteOptions): Promise<RunningPglite> {
  if (!existsSync(options.dataDir)) {
    const template = options.templateDir ?? (await emptyDatabase(options))
    await copyFolder(template, options.dataDir)
  }
  options.onStart?.()
  const port = await freePort(options.port)
  return launch(['--data-dir', options.dataDir], port, options)
}

/** A throw-away database, for tests: a copy of the empty one takes 0.6 s of processor time, one made in memory 3 s. */
export async function startThrowAwayPglite({ libDir }: Pick<StartContext, 'libDir'>): Promise<RunningPglite> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-pglite-'))
  const remove = () => rm(folder, { recursive: true, force: true })
  try {
    const started = await startPglite({ dataDir: join(folder, 'data'), libDir, logFile: join(folder, 'log') })
    return { ...started, stop: () => started.stop().then(remove) }
  } catch (error) {
    await remove()
    throw error
  }
}

async function launch(
  args: readonly string[],
  port: number,
  context: Pick<StartContext, 'logFile' | 'signal'>,
): Promise<RunningPglite> {
  const { child } = await startNodeServer({
    part: 'postgres',
    script: SERVER,
    args: [...args, '--port', String(port)],
    nodeFlags: [`--max-old-space-size=${HEAP_MB}`],
    logFile: context.logFile,
    signal: context.signal,
    answers: () => answersQueries(urlOf(port)),
  })
  return running(child, urlOf(port))
}

const running = ({ pid, exited, stop }: Guarded, url: string): RunningPglite => ({ url, pid, exited, stop })
const urlOf = (port: number) => `postgres://postgres:postgres@${LOOPBACK}:${port}/postgres`

export async function answersQueries(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000, query_timeout: 5_000 })
  client.on('error', () => {})
  try {
    await client.connect()
    return (await client.query('select 1')).rowCount === 1
  } finally {
    await client.end()
  }
}

const emptyDatabase = (context: StartContext): Promise<string> =>
  provide(
    { ...context, onDownload: () => context.onDownload?.('making an empty database') },
    EMPTY_DATABASE,
    async (folder) => {
      const { code, output } = await runTool(process.execPath, [SERVER, '--data-dir', folder, '--init-only'], {
        guarded: true,
        signal: context.signal,
      })
      if (code !== 0)
        throw partError({ part: 'postgres', logFile: context.logFile }, `cannot be initialised:\n${output}`)
    },
  )

/** Complete or not there: a start that dies while copying leaves nothing that looks like a database. */
async function copyFolder(from: string, to: string): Promise<void> {
  const partial = `${to}.partial`
  await rm(partial, { recursive: true, force: true })
  await mkdir(dirname(to), { recursive: true })
  // Synchronous: 1,000 small files take 0.06 s like this and 2 s through the thread pool while two JVMs start.
  cpSync(from, partial, { recursive: true, mode: constants.COPYFILE_FICLONE })
  await rename(partial, to)
}
