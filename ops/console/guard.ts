/**
 * Who may read and who may act. Pages of other sites run in the same browser as the console: a loopback address and a
 * form without a token are within their reach, so each request shows where it comes from. All of it is pure.
 */
import { timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'

export interface Refusal {
  readonly status: 400 | 401 | 403 | 415 | 421
  readonly error: string
  readonly hint: string
}

export type Asked = Pick<IncomingMessage, 'method' | 'headers'>

const isLoopbackName = (name: string) =>
  name === 'localhost' || name.endsWith('.localhost') || name === '[::1]' || /^127(\.\d{1,3}){3}$/.test(name)

export interface OwnNames {
  /** ADMIN_HOST: what it is bound to. */
  readonly bound: string
  readonly token: string | undefined
  /** ADMIN_ALLOWED_HOSTS, in lower case: names of a proxy in front. */
  readonly allowed: readonly string[]
}

/**
 * DNS rebinding: a foreign name that resolves to this address makes a foreign page's requests same-origin. A token alone
 * does not help where it is known, as that of a development setup is. An address in place of a name cannot be rebound:
 * with a token, which is what lets others than this machine in, each is as good as loopback's.
 */
export function refuseHost({ headers }: Asked, { bound, token, allowed }: OwnNames): Refusal | undefined {
  const name = hostName(headers.host)
  if (name !== undefined && [bound.toLowerCase(), ...allowed].includes(name)) return undefined
  if (name !== undefined && (isLoopbackName(name) || (token !== undefined && isAddress(name)))) return undefined
  return {
    status: token === undefined ? 421 : 403,
    error: `this port does not answer to the name ${name ?? '(none)'}`,
    hint: 'Use http://127.0.0.1, or name the host of a proxy in front in ADMIN_ALLOWED_HOSTS.',
  }
}

const isAddress = (name: string) => isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0

/** Without the port; undefined: there is none, or it is not one. */
function hostName(host: string | undefined): string | undefined {
  if (host === undefined || !/^[\w.:[\]-]+$/.test(host)) return undefined
  try {
    return new URL(`http://${host}`).hostname
  } catch {
    return undefined
  }
}

export function refuseToken({ headers }: Asked, token: string | undefined): Refusal | undefined {
  if (token === undefined || hasToken(headers.authorization, token)) return undefined
  return { status: 401, error: 'a bearer token is needed', hint: 'It is the value of ADMIN_TOKEN.' }
}

function hasToken(authorization: string | undefined, token: string): boolean {
  const given = Buffer.from(authorization?.replace(/^Bearer /i, '') ?? '')
  const wanted = Buffer.from(token)
  return given.length === wanted.length && timingSafeEqual(given, wanted)
}

/**
 * What changes something: JSON, which no form can send and no foreign script without a preflight that nobody answers
 * here; from this very origin, as the browser says it. Clients that are no browser send neither header and may act.
 */
export function refuseAction({ headers }: Asked): Refusal | undefined {
  const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase()
  if (type !== 'application/json')
    return { status: 415, error: 'the body must be application/json', hint: 'Set the content-type header.' }
  return refuseForeign({ headers })
}

export function refuseForeign({ headers }: Pick<Asked, 'headers'>): Refusal | undefined {
  const { origin, host } = headers
  const site = headers['sec-fetch-site']
  // "none": typed into the address bar. A page of another site cannot make it so.
  const foreignSite = site !== undefined && site !== 'same-origin' && site !== 'none'
  if (!foreignSite && (origin === undefined || originHost(origin) === host?.toLowerCase())) return undefined
  return {
    status: 403,
    error: `not from ${String(origin ?? site)}: only this console's own page may do that`,
    hint: 'Open the console at this address.',
  }
}

/** Host with port; a sandboxed frame says "null", which is nobody. */
function originHost(origin: string): string | undefined {
  try {
    return new URL(origin).host
  } catch {
    return undefined
  }
}

/** Nothing but its own files, no inline script or style, no frame around it; nothing of it is kept or told elsewhere. */
export const safeHeaders: Readonly<Record<string, string>> = {
  'content-security-policy': [
    "default-src 'none'",
    ...["script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self'"],
    ...["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"],
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'cache-control': 'no-store',
}
