/** Free loopback ports. */
import { createServer } from 'node:net'
import { UserError } from '../../streams/errors.ts'

export const LOOPBACK = '127.0.0.1'

/**
 * `wanted` if it is free, else a free one picked by the kernel. Whoever is to listen does so a moment later, so another
 * process can still be quicker: a part that then fails with its address in use is started again on another port.
 * @throws UserError when `wanted` is taken.
 */
export function freePort(wanted?: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE' || error.code === 'EACCES'
          ? new UserError(
              `port ${wanted} cannot be used (${error.code})`,
              'choose another one, or none to get a free one',
            )
          : error,
      ),
    )
    server.listen({ port: wanted ?? 0, host: LOOPBACK, exclusive: true }, () => {
      const address = server.address()
      const port = address !== null && typeof address === 'object' ? address.port : 0
      server.close(() => resolve(port))
    })
  })
}
