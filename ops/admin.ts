/** The admin port: /healthz, /readyz, /metrics, /status. Loopback unless ADMIN_HOST and a token say otherwise. */
import { timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { UserError } from '../streams/errors.ts'
import type { RunningStage } from '../streams/runtime/run-stage.ts'
import type { Metrics } from './metrics.ts'
import type { Status } from './status.ts'

interface Options {
  readonly host: string
  readonly port: number
  readonly token: string | undefined
  readonly stages: readonly RunningStage[]
  readonly metrics: Metrics
  readonly status?: Status
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
}

/** @throws UserError when the port is taken. */
export async function startAdmin(
  options: Options,
): Promise<{ readonly port: number; readonly close: () => Promise<void> }> {
  const server = createServer((request, response) => {
    void answer(request, options)
      .catch((): Answer => ({ status: 500, type: 'text/plain', body: 'internal error\n' }))
      .then(({ status, type, body }) => response.writeHead(status, { 'content-type': type }).end(body))
  })
  server.listen(options.port, options.host)
  try {
    await once(server, 'listening')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new UserError(
      `cannot listen on ${options.host}:${options.port} (${code})`,
      'Set ADMIN_PORT to a free port, or 0 for any.',
    )
  }
  const { port } = server.address() as { port: number }
  return {
    port,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

async function answer(request: IncomingMessage, { token, stages, metrics, status }: Options): Promise<Answer> {
  const { pathname } = new URL(request.url ?? '/', 'http://admin')
  if (request.method !== 'GET') return json(405, { error: 'GET only' })
  // Probes carry no token; they tell nothing but health.
  if (pathname === '/healthz') {
    const silent = stages.filter((stage) => !stage.isAlive()).map(({ name }) => name)
    return json(silent.length === 0 ? 200 : 503, { alive: silent.length === 0, silent })
  }
  if (pathname === '/readyz') {
    const waiting = stages.filter((stage) => !stage.isReady()).map(({ name }) => name)
    return json(waiting.length === 0 ? 200 : 503, { ready: waiting.length === 0, waiting })
  }
  if (token !== undefined && !hasToken(request, token)) return json(401, { error: 'a bearer token is needed' })
  if (pathname === '/metrics') return { status: 200, type: metrics.contentType, body: await metrics.text() }
  if (pathname === '/status' && status) return json(200, { stages: status.stages(), ...status.throttle() })
  return json(404, { error: 'not found', paths: ['/healthz', '/readyz', '/metrics', '/status'] })
}

const json = (status: number, body: object): Answer => ({
  status,
  type: 'application/json',
  body: `${JSON.stringify(body)}\n`,
})

function hasToken(request: IncomingMessage, token: string): boolean {
  const given = Buffer.from(request.headers.authorization?.replace(/^Bearer /, '') ?? '')
  const wanted = Buffer.from(token)
  return given.length === wanted.length && timingSafeEqual(given, wanted)
}
