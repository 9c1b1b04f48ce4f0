/** What a crawler reads from a page: links, canonical address, robots' meta tags. Streaming: no tree is built. */
import { Parser } from 'htmlparser2'
import { type RobotsDirectives, readDirectives } from './robots-directives.ts'
import { normalizeUrl, sameSite } from './url.ts'

/** Beyond this a page is a link farm or a sitemap in disguise. */
const MAX_LINKS = 2000

export interface PageLinks extends RobotsDirectives {
  /** Normalised, without repetition, in the order of the page, on the page's own site. */
  readonly links: readonly string[]
  /** The address by which the page wants to be known, if on the same site; else its own. */
  readonly canonicalUrl: string
}

/** `url`: where the page was fetched from. `agent`: our product token, lower case, for `<meta name="sluice">`. */
export function readPageLinks(html: string, url: string, agent: string): PageLinks {
  const found = scan(html, agent)
  const base = found.base !== undefined ? (URL.parse(found.base, url)?.href ?? url) : url
  const own = (href: string) => {
    const link = normalizeUrl(href, base)
    return link !== undefined && sameSite(link, url) ? link : undefined
  }
  const canonical = found.canonical === undefined ? undefined : own(found.canonical)
  const links = found.nofollow ? [] : [...(canonical ? [canonical] : []), ...found.hrefs.map(own)]
  const unique = new Set(links.filter((link) => link !== undefined))
  unique.delete(normalizeUrl(url) ?? url)
  return {
    noindex: found.noindex,
    nofollow: found.nofollow,
    links: [...unique].slice(0, MAX_LINKS),
    canonicalUrl: canonical ?? normalizeUrl(url) ?? url,
  }
}

function scan(html: string, agent: string) {
  const hrefs: string[] = []
  const directives: RobotsDirectives[] = []
  let base: string | undefined
  let canonical: string | undefined
  const parser = new Parser({
    onopentag(name, attributes) {
      const { href, rel = '', content = '' } = attributes
      const relations = rel.toLowerCase().split(/\s+/)
      if (name === 'base') base ??= href
      else if (name === 'a' || name === 'area') {
        if (href && !relations.includes('nofollow')) hrefs.push(href)
      } else if (name === 'link' && href) {
        if (relations.includes('canonical')) canonical ??= href
        // Other languages and the pages of a series; not feeds or app links, which are `alternate` too.
        else if (attributes['hreflang'] || relations.includes('next') || relations.includes('prev')) hrefs.push(href)
      } else if (name === 'meta') {
        const key = attributes['name']?.toLowerCase()
        if (key === 'robots' || key === agent) directives.push(readDirectives(content))
        else if (attributes['http-equiv']?.toLowerCase() === 'refresh') hrefs.push(...refreshTarget(content))
      }
    },
  })
  parser.end(html)
  const some = (key: keyof RobotsDirectives) => directives.some((directive) => directive[key])
  return { hrefs, base, canonical, noindex: some('noindex'), nofollow: some('nofollow') }
}

/** `5; url='next.html'` */
const refreshTarget = (content: string) =>
  /^\s*[\d.]+\s*[;,]\s*(?:url\s*=\s*)?["']?([^"'\s]+)/i.exec(content)?.slice(1) ?? []
