/** The admin port: the console, /healthz, /readyz, /metrics, /status. Loopback unless ADMIN_HOST and a token say otherwise. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { UserError } from '../streams/errors.ts'
import type { RunningStage } from '../streams/runtime/run-stage.ts'
import type { Console } from './console/console.ts'
import { refuseHost, refuseToken, safeHeaders } from './console/guard.ts'
import type { Metrics } from './metrics.ts'
import type { Status } from './status.ts'

interface Options {
  readonly host: string
  readonly port: number
  readonly token: string | undefined
  /** Names that it answers to beside its own and loopback's. */
  readonly allowedHosts?: readonly string[]
  readonly stages: readonly RunningStage[]
  readonly metrics: Metrics
  readonly status?: Status
  readonly console?: Console
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
}

/** @throws UserError when the port is taken. */
export async function startAdmin(
  options: Options,
): Promise<{ readonly port: number; readonly url: string; readonly close: () => Promise<void> }> {
  const server = createServer((request, response) => {
    void answer(request, response, options).catch(() => {
      // Whatever was begun is cut off: half an answer must not read as a whole one.
      if (response.headersSent) response.destroy()
      else send(response, { status: 500, type: 'text/plain', body: 'internal error\n' })
    })
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
    url: `http://${shownHost(options.host)}:${port}/`,
    close: async () => {
      await options.console?.close()
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Where somebody at this machine finds it. */
const shownHost = (host: string) =>
  host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host

async function answer(request: IncomingMessage, response: ServerResponse, options: Options): Promise<void> {
  const { token, stages, metrics, status, host, allowedHosts = [] } = options
  for (const [name, value] of Object.entries(safeHeaders)) response.setHeader(name, value)
  const { pathname } = new URL(request.url ?? '/', 'http://admin')
  // Probes carry no token and whatever name the prober knows; they tell nothing but health.
  if (pathname === '/healthz' && request.method === 'GET') {
    const silent = stages.filter((stage) => !stage.isAlive()).map(({ name }) => name)
    return send(response, json(silent.length === 0 ? 200 : 503, { alive: silent.length === 0, silent }))
  }
  if (pathname === '/readyz' && request.method === 'GET') {
    const waiting = stages.filter((stage) => !stage.isReady()).map(({ name }) => name)
    return send(response, json(waiting.length === 0 ? 200 : 503, { ready: waiting.length === 0, waiting }))
  }
  // Prometheus asks by the name of a service; where there is a token, it shows that, and no page of a browser reads figures.
  const named = pathname === '/metrics' && token !== undefined
  const foreign = named ? undefined : refuseHost(request, { bound: host, token, allowed: allowedHosts })
  if (foreign) return send(response, json(foreign.status, foreign))
  if (await options.console?.answer(request, response)) return
  if (request.method !== 'GET') return send(response, json(405, { error: 'GET only' }))
  const refusal = refuseToken(request, token)
  if (refusal) return send(response, json(refusal.status, refusal))
  if (pathname === '/metrics')
    return send(response, { status: 200, type: metrics.contentType, body: await metrics.text() })
  if (pathname === '/status' && status)
    return send(response, json(200, { stages: await status.current(), ...status.throttle() }))
  send(response, json(404, { error: 'not found', paths: ['/', '/healthz', '/readyz', '/metrics', '/status'] }))
}

const send = (response: ServerResponse, { status, type, body }: Answer) =>
  void response.writeHead(status, { 'content-type': type }).end(body)

const json = (status: number, body: object): Answer => ({
  status,
  type: 'application/json',
  body: `${JSON.stringify(body)}\n`,
})
