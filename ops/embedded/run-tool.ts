/** Runs a tool to its end and keeps the tail of what it said. */
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawnGuarded } from './guard.ts'

export interface ToolResult {
  /** null: it could not be started, or a signal ended it. */
  readonly code: number | null
  readonly output: string
  /** The tool is not installed. */
  readonly missing: boolean
}

export interface ToolOptions {
  /** For tools that run for long: ends with this process, however that ends. */
  readonly guarded?: boolean
  readonly signal?: AbortSignal | undefined
}

const KEPT_CHARACTERS = 4_000

export const runTool = (command: string, args: readonly string[], options: ToolOptions = {}): Promise<ToolResult> =>
  options.guarded ? runGuarded(command, args, options.signal) : runPlain(command, args)

function runPlain(command: string, args: readonly string[]): Promise<ToolResult> {
  return new Promise((resolve) => {
    let output = ''
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const keep = (data: Buffer) => (output = (output + data.toString()).slice(-KEPT_CHARACTERS))
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    child.once('error', (error: NodeJS.ErrnoException) =>
      resolve({ code: null, output: output || error.message, missing: error.code === 'ENOENT' }),
    )
    child.once('close', (code) => resolve({ code, output, missing: false }))
  })
}

async function runGuarded(command: string, args: readonly string[], signal?: AbortSignal): Promise<ToolResult> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-tool-'))
  const logFile = join(folder, 'output')
  try {
    const child = await spawnGuarded({ command, args, logFile })
    const abort = () => void child.stop()
    signal?.addEventListener('abort', abort, { once: true })
    if (signal?.aborted) abort()
    const how = await child.exited
    signal?.removeEventListener('abort', abort)
    const output = (await readFile(logFile, 'utf8')).slice(-KEPT_CHARACTERS)
    const code = /^exit code (\d+)$/.exec(how)?.[1]
    return { code: code === undefined ? null : Number(code), output, missing: code === '127' }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
