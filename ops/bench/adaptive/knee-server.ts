/**
 * A dependency with a knee, as a process of its own: `servers` requests are worked on at once, each for about
 * `serviceMs`; what comes beyond waits in line, or is refused with 429. Its parent learns the port by message.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Knee {
  readonly servers: number
  /** Mean; each takes from half to one and a half of it. */
  readonly serviceMs: number
  readonly refuses: boolean
}

export interface KneeServer {
  readonly port: number
  readonly stop: () => Promise<void>
}

/** Starts this very file again. */
export async function startKneeServer(knee: Knee): Promise<KneeServer> {
  const child = fork(import.meta.filename, [JSON.stringify(knee)])
  const [port] = (await once(child, 'message')) as [number]
  return {
    port,
    stop: async () => {
      const exited = once(child, 'exit')
      child.kill()
      await exited
    },
  }
}

function serve({ servers, serviceMs, refuses }: Knee) {
  const line: ServerResponse[] = []
  let busy = 0

  function work(response: ServerResponse) {
    busy += 1
    setTimeout(
      () => {
        busy -= 1
        response.end()
        const next = line.shift()
        if (next) work(next)
      },
      serviceMs * (0.5 + Math.random()),
    )
  }
  const server = createServer((request, response) => {
    request.resume()
    if (busy < servers) work(response)
    else if (refuses) response.writeHead(429).end()
    else line.push(response)
  })
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
  // Its parent has ended, however it did.
  process.on('disconnect', () => process.exit())
}

if (import.meta.main) serve(JSON.parse(process.argv[2]!) as Knee)
