/**
 * A TCP proxy in front of Postgres that can act at the moment of a COMMIT: before it is forwarded, after it was executed
 * and before its acknowledgement is passed on, or after. It can also cut all connections, or swallow them silently.
 */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { Socket } from 'node:net'

/** Where in a COMMIT's way `onCommit` is called; what it returns decides whether the bytes go on. */
export type CommitPoint = 'before' | 'executed' | 'acknowledged'

export interface PostgresProxy {
  readonly url: string
  /** Called at each point of each COMMIT of a transaction that wrote; false: the bytes go no further. */
  onCommit: (point: CommitPoint, count: number) => boolean
  /** refuse: new connections fail and old ones are cut. blackhole: bytes vanish, without RST. */
  mode: 'pass' | 'refuse' | 'blackhole'
  readonly cut: () => void
  readonly close: () => Promise<void>
}

export async function createPostgresProxy(targetUrl: string): Promise<PostgresProxy> {
  const target = new URL(targetUrl)
  const sockets = new Set<Socket>()
  let commits = 0

  const server = createServer((client) => {
    if (proxy.mode === 'refuse') return void client.destroy()
    const upstream = connect(Number(target.port || 5432), target.hostname)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        client.destroy()
        upstream.destroy()
      })
    }
    let wrote = false
    let awaiting = 0
    client.on('data', (data) => {
      if (proxy.mode === 'blackhole') return
      if (/insert into|update |delete from/i.test(data.toString('latin1'))) wrote = true
      if (wrote && isCommit(data)) {
        wrote = false
        awaiting = commits += 1
        if (!proxy.onCommit('before', awaiting)) return
      }
      upstream.write(data)
    })
    upstream.on('data', (data) => {
      if (proxy.mode === 'blackhole') return
      const count = awaiting
      awaiting = 0
      if (count > 0 && !proxy.onCommit('executed', count)) return
      client.write(data, () => {
        if (count > 0) proxy.onCommit('acknowledged', count)
      })
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const url = new URL(targetUrl)
  url.hostname = '127.0.0.1'
  url.port = String(port)
  const cut = () => sockets.forEach((socket) => socket.destroy())

  const proxy: PostgresProxy = {
    url: url.href,
    onCommit: () => true,
    mode: 'pass',
    cut,
    close: async () => {
      cut()
      server.close()
      await once(server, 'close')
    },
  }
  return proxy
}

/** knex ends its transactions with a simple query: 'Q', length, "COMMIT;", NUL. */
const isCommit = (data: Buffer) => data[0] === 0x51 && /^commit;?$/i.test(data.subarray(5, -1).toString('latin1'))
