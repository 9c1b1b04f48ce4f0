/** Runs a tool to its end and keeps the tail of what it said. */
import { spawn } from 'node:child_process'

export interface ToolResult {
  /** null: it could not be started, or a signal ended it. */
  readonly code: number | null
  readonly output: string
  /** The tool is not installed. */
  readonly missing: boolean
}

const KEPT_CHARACTERS = 4_000

export function runTool(command: string, args: readonly string[], signal?: AbortSignal): Promise<ToolResult> {
  return new Promise((resolve) => {
    let output = ''
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], signal })
    const keep = (data: Buffer) => (output = (output + data.toString()).slice(-KEPT_CHARACTERS))
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    child.once('error', (error: NodeJS.ErrnoException) =>
      resolve({ code: null, output: output || error.message, missing: error.code === 'ENOENT' }),
    )
    child.once('close', (code) => resolve({ code, output, missing: false }))
  })
}
