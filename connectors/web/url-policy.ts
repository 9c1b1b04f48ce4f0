/** Which URLs may be fetched at all, before any name is resolved. */
import { isPublicAddress, literalAddress } from './address.ts'
import { refused } from './fetch-errors.ts'

const MAX_URL_LENGTH = 4096
const ALLOWED_PORTS = new Set(['', '80', '443'])
/** Names that resolve inside a machine, a link or a cloud's network. */
const PRIVATE_SUFFIXES = ['localhost', 'internal', 'local', 'home.arpa', 'onion']

/** Hosts that a developer named: `host` (any port) or `host:port`. For these alone the address rules are lifted. */
export interface AllowList {
  readonly has: (hostname: string, port: string) => boolean
}

export function createAllowList(entries: readonly string[]): AllowList {
  const named = new Set(entries.map((entry) => canonicalEntry(entry.trim().toLowerCase())))
  return { has: (hostname, port) => named.has(bareHost(hostname)) || named.has(`${bareHost(hostname)}:${port}`) }
}

/** IPv6 loses its brackets, a name its root dot. */
const bareHost = (hostname: string) => literalAddress(hostname) ?? hostname.toLowerCase().replace(/\.$/, '')

function canonicalEntry(entry: string) {
  if (literalAddress(entry)) return bareHost(entry)
  const [, host = entry, port] = /^(.*?)(?::(\d+))?$/.exec(entry) ?? []
  return port ? `${bareHost(host)}:${port}` : bareHost(host)
}

export const portOf = (url: URL) => url.port || (url.protocol === 'https:' ? '443' : '80')

/**
 * Parses once; what is returned is what is dialled, so that no second parser can read the text otherwise.
 * @throws StageError `fetch_refused`
 */
export function admitUrl(text: string, base: URL | undefined, allow: AllowList): URL {
  const url = URL.parse(text, base)
  if (!url || url.href.length > MAX_URL_LENGTH) throw refused('the URL is malformed or too long')
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw refused('only http and https are fetched')
  if (url.username || url.password) throw refused('URLs with credentials are not fetched')
  if (allow.has(url.hostname, portOf(url))) return url
  if (!ALLOWED_PORTS.has(url.port)) throw refused('the port is not allowed')
  const literal = literalAddress(url.hostname)
  if (literal ? !isPublicAddress(literal) : isPrivateName(url.hostname)) throw refused('the host is not allowed')
  return url
}

function isPrivateName(hostname: string) {
  const name = bareHost(hostname)
  return !name.includes('.') || PRIVATE_SUFFIXES.some((suffix) => name.endsWith(`.${suffix}`))
}
