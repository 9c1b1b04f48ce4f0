/** The project's own OpenAI-compatible embeddings server as a process. */
import { join } from 'node:path'
import { request } from 'undici'
import type { StartContext } from './context.ts'
import { startNodeServer, type RunningPart } from './part.ts'
import { freePort, LOOPBACK } from './ports.ts'

export interface EmbeddingsOptions extends StartContext {
  /** A free port when not given. */
  readonly port?: number | undefined
}

export async function startEmbeddings(options: EmbeddingsOptions): Promise<RunningPart & { readonly url: string }> {
  options.onStart?.()
  const wanted = await freePort(options.port)
  const { child, port } = await startNodeServer({
    part: 'embeddings',
    script: join(import.meta.dirname, 'embeddings-server.ts'),
    args: ['--port', String(wanted)],
    logFile: options.logFile,
    signal: options.signal,
    answers: speaksHttp,
  })
  const { pid, exited, stop } = child
  return { part: 'embeddings', url: `http://${LOOPBACK}:${port}/v1`, pid, exited, stop }
}

/** Any HTTP answer will do: which paths there are is the server's own matter. */
async function speaksHttp(port: number): Promise<boolean> {
  const { body } = await request(`http://${LOOPBACK}:${port}/v1/models`, { headersTimeout: 2_000, bodyTimeout: 2_000 })
  await body.dump()
  return true
}
