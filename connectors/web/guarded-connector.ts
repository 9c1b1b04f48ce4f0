/**
 * Opens sockets to public addresses only. The check sits here, on every new connection, because `lookup` alone never
 * sees IP literals; and it dials exactly the answers it has checked, so that a name cannot change its mind in between.
 */
import { lookup as systemLookup, type LookupAddress } from 'node:dns'
import type { LookupFunction, Socket } from 'node:net'
import { buildConnector } from 'undici'
import { isPublicAddress, literalAddress } from './address.ts'
import { refused } from './fetch-errors.ts'
import type { AllowList } from './url-policy.ts'

export type Resolve = (hostname: string) => Promise<readonly LookupAddress[]>

export const systemResolve: Resolve = (hostname) =>
  new Promise((resolve, reject) =>
    systemLookup(hostname, { all: true }, (error, addresses) => (error ? reject(error) : resolve(addresses))),
  )

export interface ConnectorOptions {
  readonly allow: AllowList
  readonly resolve: Resolve
  readonly connectTimeoutMs: number
  /** undici's, or a test's that dials elsewhere. */
  readonly build?: typeof buildConnector
}

export function createGuardedConnector(options: ConnectorOptions): buildConnector.connector {
  const { allow, resolve, connectTimeoutMs, build = buildConnector } = options
  // HTTP/1.1 only; the Agent's own timeout and allowH2 are ignored once it has a custom connector.
  const settings = { timeout: connectTimeoutMs, allowH2: false }
  const open = build({ ...settings, lookup: lookupWith(resolve, () => true) })
  const guarded = build({ ...settings, lookup: lookupWith(resolve, isPublicAddress) })

  return (target, callback) => {
    const port = target.port || (target.protocol === 'https:' ? '443' : '80')
    if (allow.has(target.hostname, port)) return open(target, callback)
    const literal = literalAddress(target.hostname)
    if (literal && !isPublicAddress(literal)) return callback(refused('the host is not allowed'), null)
    guarded(target, (...[error, socket]) => {
      if (error) return callback(error, null)
      if (dialledPublic(socket)) return callback(null, socket)
      socket.destroy()
      callback(refused('the host is not allowed'), null)
    })
  }
}

const dialledPublic = (socket: Socket) => socket.remoteAddress !== undefined && isPublicAddress(socket.remoteAddress)

/** Refuses the name if ANY answer is bad: one good address beside a private one is how rebinding starts. */
function lookupWith(resolve: Resolve, accept: (address: string) => boolean): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname).then(
      (addresses) => {
        const first = addresses[0]
        if (!first) return callback(Object.assign(new Error('no address'), { code: 'ENOTFOUND' }), '')
        if (!addresses.every(({ address }) => accept(address))) return callback(refused('the host is not allowed'), '')
        if (options.all) callback(null, [...addresses])
        else callback(null, first.address, first.family)
      },
      (error: NodeJS.ErrnoException) => callback(error, ''),
    )
  }
}
