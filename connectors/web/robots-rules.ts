/** robots.txt as RFC 9309 has it: groups, longest match, `*` and `$`. Pure: text in, verdicts out. */

/** RFC 9309 2.5 asks for at least 500 KiB. */
export const MAX_ROBOTS_BYTES = 512 * 1024

export interface RobotsRules {
  /** `url`: absolute, or a path with its query. */
  readonly allowed: (url: string) => boolean
  readonly crawlDelayMs: number | undefined
  readonly sitemaps: readonly string[]
}

interface Rule {
  readonly allow: boolean
  readonly pattern: string
}

interface Group {
  readonly agents: string[]
  readonly rules: Rule[]
  crawlDelayMs: number | undefined
}

/** `agent`: a product token (`sluice`) or a whole User-Agent (`sluice/0.1 (+https://…)`), of which the token counts. */
export function parseRobots(text: string, agent: string): RobotsRules {
  const { groups, sitemaps } = parseGroups(text)
  const token = productToken(agent)
  const named = groups.filter((group) => token !== '' && group.agents.includes(token))
  const mine = named.length > 0 ? named : groups.filter((group) => group.agents.includes('*'))
  const rules = mine.flatMap((group) => group.rules)
  return {
    allowed: (url) => isAllowed(rules, url),
    crawlDelayMs: mine.find((group) => group.crawlDelayMs !== undefined)?.crawlDelayMs,
    sitemaps,
  }
}

/** What `sluice robots --json` prints, one a line. */
export function checkRobots(text: string, agent: string, urls: readonly string[]): { url: string; allowed: boolean }[] {
  const rules = parseRobots(text, agent)
  return urls.map((url) => ({ url, allowed: rules.allowed(url) }))
}

/** Only letters, `_` and `-` make a token: `FooBot/2.1` and `FooBot 2` are FooBot. */
const productToken = (value: string) => /^[a-z_-]*/.exec(value.trim().toLowerCase())![0]

/**
 * Groups end where a user-agent line follows a RULE. Every other line (Sitemap, Crawl-delay, unknown ones) leaves the
 * group open: two agents with a Sitemap line between them still share the rules below.
 */
function parseGroups(text: string) {
  const groups: Group[] = []
  const sitemaps: string[] = []
  let group: Group | undefined
  let inRules = false
  for (const line of wholeLines(text)) {
    const { key, value } = splitLine(line)
    if (isUserAgent(key)) {
      if (!group || inRules) groups.push((group = { agents: [], rules: [], crawlDelayMs: undefined }))
      inRules = false
      group.agents.push(/^\*(\s|$)/.test(value) ? '*' : productToken(value))
    } else if (key === 'sitemap') {
      if (value) sitemaps.push(value)
    } else if (group && (key === 'allow' || isDisallow(key))) {
      inRules = true
      if (value) group.rules.push({ allow: key === 'allow', pattern: normalisePattern(value) })
    } else if (group && key === 'crawl-delay') {
      group.crawlDelayMs ??= parseDelay(value)
    }
  }
  return { groups, sitemaps }
}

/** The part that is read: without BOM, and without a last line that the size limit cut in two. */
function wholeLines(text: string): string[] {
  const bytes = Buffer.from(text)
  const cut = bytes.length > MAX_ROBOTS_BYTES
  const read = cut ? bytes.subarray(0, MAX_ROBOTS_BYTES).toString() : text
  const lines = read.replace(/^\uFEFF/, '').split(/\r\n|\r|\n/)
  return cut ? lines.slice(0, -1) : lines
}

/** `key: value # comment`; a missing colon is forgiven where exactly two words stand on the line. */
function splitLine(line: string): { key: string; value: string } {
  const text = line.split('#', 1)[0]!.trim()
  const colon = text.indexOf(':')
  if (colon >= 0) return { key: text.slice(0, colon).trim().toLowerCase(), value: text.slice(colon + 1).trim() }
  const words = text.split(/\s+/)
  return words.length === 2 ? { key: words[0]!.toLowerCase(), value: words[1]! } : { key: '', value: '' }
}

const isUserAgent = (key: string) => key === 'user-agent' || key === 'useragent' || key === 'user agent'
/** Misspellings are common, and what they mean is never in doubt. */
const isDisallow = (key: string) => /^(disallow|dissallow|dissalow|disalow|diasllow|disallaw)$/.test(key)

function parseDelay(value: string): number | undefined {
  const seconds = Number(value)
  return value !== '' && seconds >= 0 && Number.isFinite(seconds) ? seconds * 1000 : undefined
}

function isAllowed(rules: readonly Rule[], url: string): boolean {
  const path = comparablePath(url)
  if (path === undefined) return false
  if (path === '/robots.txt') return true
  let best: Rule | undefined
  for (const rule of rules) {
    const longer = !best || rule.pattern.length > best.pattern.length
    const wins = longer || (rule.pattern.length === best!.pattern.length && rule.allow)
    if (wins && matches(rule.pattern, path)) best = rule
  }
  return best?.allow ?? true
}

/** Path and query with special characters escaped, since in a pattern `*` and `$` are no literals. */
function comparablePath(url: string): string | undefined {
  const parsed = URL.parse(url, 'http://host.invalid/')
  if (!parsed) return undefined
  return normaliseEscapes(parsed.pathname + parsed.search)
    .replaceAll('*', '%2A')
    .replaceAll('$', '%24')
}

/** A `$` that is not the last character is a literal. */
const normalisePattern = (value: string) => normaliseEscapes(value).replace(/\$(?!$)/g, '%24')

/** RFC 9309 2.2.2: unreserved characters are compared unescaped, all others that need it escaped, hex in capitals. */
const normaliseEscapes = (text: string) =>
  text
    .toWellFormed()
    .replace(/[^\x21-\x7e]|["<>\\^`{|}]/gu, encodeURIComponent)
    .replace(/%[0-9a-f]{2}/gi, (escape) => {
      const character = String.fromCharCode(parseInt(escape.slice(1), 16))
      return /[A-Za-z0-9\-._~]/.test(character) ? character : escape.toUpperCase()
    })

/** Leftmost placement of each piece is enough for a glob: linear, where a regular expression would backtrack. */
function matches(pattern: string, path: string): boolean {
  const anchored = pattern.endsWith('$')
  const [head = '', ...pieces] = (anchored ? pattern.slice(0, -1) : pattern).split('*')
  if (!path.startsWith(head)) return false
  if (pieces.length === 0) return !anchored || path === head
  let at = head.length
  const last = anchored ? pieces.pop()! : undefined
  for (const piece of pieces) {
    const found = path.indexOf(piece, at)
    if (found < 0) return false
    at = found + piece.length
  }
  return last === undefined || (path.length - last.length >= at && path.endsWith(last))
}
