/** URL identity: two spellings of one page are one page; and which URLs belong to one site. */
import { getDomain } from 'tldts'

const MAX_URL_LENGTH = 4096
/** Parameters that tell where a visitor came from, never what is shown. */
const TRACKING =
  /^(utm_[a-z_]+|gclid|gclsrc|dclid|gbraid|wbraid|fbclid|msclkid|yclid|twclid|ttclid|igshid|mc_cid|mc_eid|_hsenc|_hsmi|_ga|_gl|srsltid|mkt_tok|phpsessid|jsessionid)$/i

/**
 * The form in which a URL is stored, compared and fetched: WHATWG-parsed, no fragment, no tracking parameters, no
 * needless escapes, no root dot. Undefined: nothing to crawl (other scheme, credentials, too long, malformed).
 */
export function normalizeUrl(text: string, base?: string): string | undefined {
  const url = URL.parse(text.trim(), base)
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:')) return undefined
  if (url.username || url.password) return undefined
  url.hash = ''
  url.hostname = url.hostname.replace(/\.$/, '')
  url.pathname = unescapeUnreserved(url.pathname)
  // By hand and not by searchParams, which would write `a b` and `~` anew in the parameters that stay.
  const kept = url.search
    .slice(1)
    .split('&')
    .filter((pair) => pair && !TRACKING.test(pair.split('=', 1)[0]!))
  url.search = unescapeUnreserved(kept.join('&'))
  return url.hostname && url.href.length <= MAX_URL_LENGTH ? url.href : undefined
}

/** RFC 3986 6.2.2: `%7E` is `~`, and hex digits are capitals. */
const unescapeUnreserved = (text: string) =>
  text.replace(/%[0-9a-f]{2}/gi, (escape) => {
    const character = String.fromCharCode(parseInt(escape.slice(1), 16))
    return /[A-Za-z0-9\-._~]/.test(character) ? character : escape.toUpperCase()
  })

/**
 * A site is a registrable domain with all its hosts; `a.github.io` and `b.github.io` are two, as the private part of
 * the public suffix list says. An address or a name without a public suffix is a site for each port.
 */
export function siteOf(url: string): string {
  const { hostname, host } = new URL(url)
  return getDomain(hostname, { allowPrivateDomains: true }) ?? host
}

export const sameSite = (a: string, b: string) => siteOf(a) === siteOf(b)
