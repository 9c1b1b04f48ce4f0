/** A broker behind a listener that advertises the wrong port: all bytes pass but that number. */
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

/** A port of loopback on which nobody listens: it has just been given back. */
export async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((listening) => server.once('listening', listening))
  const { port } = server.address() as AddressInfo
  await new Promise((closed) => server.close(closed))
  return port
}

export async function startMisleadingProxy(broker: string, advertisedPort: number) {
  const [host = '', port = ''] = broker.split(':')
  // As a metadata response has an address: the host with its length, then the port as four bytes.
  const address = (number: number) => {
    const tail = Buffer.alloc(4)
    tail.writeInt32BE(number)
    return Buffer.concat([Buffer.from(host), tail])
  }
  const sockets = new Set<Socket>()
  const server = createServer((inner) => {
    const outer = connect(Number(port), host)
    for (const socket of [inner, outer]) {
      sockets.add(socket)
      socket.on('error', () => {}).on('close', () => (inner.destroy(), outer.destroy()))
    }
    inner.pipe(outer)
    outer.on('data', (bytes) => inner.write(replaced(bytes, address(Number(port)), address(advertisedPort))))
  }).listen(0, '127.0.0.1')
  await new Promise((listening) => server.once('listening', listening))
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      for (const socket of sockets) socket.destroy()
      return new Promise((closed) => server.close(closed))
    },
  }
}

function replaced(bytes: Buffer, from: Buffer, to: Buffer): Buffer {
  for (let at = bytes.indexOf(from); at >= 0; at = bytes.indexOf(from, at + to.length)) to.copy(bytes, at)
  return bytes
}
