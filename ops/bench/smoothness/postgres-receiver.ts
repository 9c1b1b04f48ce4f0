/**
 * What Postgres receives: a TCP proxy in a process of its own that logs every statement and transaction, and that can
 * refuse or swallow connections for a while. `node postgres-receiver.ts --target HOST:PORT` prints `{"port":N}`, the port
 * of its control, when both listen; ends when its standard input does.
 *
 * GET /address { port } of the proxy; GET /log, a `LoggedWork` each; POST /mode { mode, forMs? } back to pass after forMs.
 */
import { once } from 'node:events'
import { createServer as createControl } from 'node:http'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { json as readJson } from 'node:stream/consumers'
import { parseArgs } from 'node:util'
import { preciseNow } from '../../embedded/embeddings-load.ts'
import { createStatementTracker } from './statements.ts'
import type { LoggedWork } from './statements.ts'

/** refuse: connections are cut and new ones fail. blackhole: bytes vanish, without RST. */
export type ProxyMode = 'pass' | 'refuse' | 'blackhole'

/** What keeps the fleet in step is no work of the stages: leases of the budgets, and claims of partitions. */
const CONTROL_PLANE = /budget_lease|epoch = stage_offsets\.epoch \+ 1/i
const isControl = (text: string) => CONTROL_PLANE.test(text)

const { values } = parseArgs({ options: { target: { type: 'string', default: '' } } })
const [host = '', targetPort = ''] = values.target.split(':')
const log: LoggedWork[] = []
const sockets = new Set<Socket>()
let mode: ProxyMode = 'pass'
let backToPass: NodeJS.Timeout | undefined

const proxy = createServer({ noDelay: true }, (client) => {
  if (mode === 'refuse') return void client.destroy()
  const upstream = connect({ port: Number(targetPort), host, noDelay: true })
  const tracker = createStatementTracker({ now: preciseNow, isControl, onWork: (work) => log.push(work) })
  for (const socket of [client, upstream]) {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => {
      sockets.delete(socket)
      tracker.closed()
      client.destroy()
      upstream.destroy()
    })
  }
  client.on('data', (data: Buffer) => {
    if (mode === 'blackhole') return
    tracker.client(data)
    if (!upstream.write(data)) client.pause()
  })
  upstream.on('data', (data: Buffer) => {
    if (mode === 'blackhole') return
    tracker.server(data)
    if (!client.write(data)) upstream.pause()
  })
  client.on('drain', () => upstream.resume())
  upstream.on('drain', () => client.resume())
})

function setMode({ mode: wanted, forMs }: { mode: ProxyMode; forMs?: number }): void {
  clearTimeout(backToPass)
  // What was swallowed does not come back: a connection that has missed bytes is of no use to anybody.
  if (wanted === 'refuse' || mode === 'blackhole') for (const socket of sockets) socket.destroy()
  mode = wanted
  if (forMs !== undefined) backToPass = setTimeout(() => setMode({ mode: 'pass' }), forMs)
}

const control = createControl((request, response) => {
  const answer = (body: object) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  if (request.url === '/log') answer(log)
  else if (request.url === '/mode')
    void readJson(request).then((body) => {
      setMode(body as Parameters<typeof setMode>[0])
      answer({})
    })
  else answer({ port: portOf(proxy) })
})

const portOf = (server: Server) => (server.address() as AddressInfo).port
proxy.listen(0, '127.0.0.1')
control.listen(0, '127.0.0.1')
await Promise.all([once(proxy, 'listening'), once(control, 'listening')])
process.stdout.write(`${JSON.stringify({ port: portOf(control) })}\n`)
process.stdin.resume().on('end', () => process.exit(0))
