/** Before anything is started: can the pages that a person named be fetched at all? */
import { createGuardedFetch } from '../../connectors/web/guarded-fetch.ts'
import { parseRobots } from '../../connectors/web/robots-rules.ts'
import { UserError, errorMessage } from '../../streams/errors.ts'
import type { StageError } from '../../streams/errors.ts'
import { note } from './output.ts'

interface Options {
  readonly allowHosts: readonly string[]
  readonly userAgent: string
}

interface Trouble {
  readonly url: string
  readonly problem: string
  readonly refused: boolean
}

const TIMEOUT_MS = 15_000
const MAX_BYTES = 512 * 1024

/**
 * One fetch of robots.txt a URL: the crawler, which must be patient with hosts, would try for minutes.
 * @returns the URLs that can be crawled; the others are named on stderr. @throws UserError when none can.
 */
export async function lookAhead(urls: readonly string[], options: Options): Promise<string[]> {
  const web = createGuardedFetch({ ...options, maxBytes: MAX_BYTES })
  const look = async (url: string): Promise<Trouble | undefined> => {
    try {
      const response = await web.fetch(`${new URL(url).origin}/robots.txt`, {
        overflow: 'truncate',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      const problem = verdict(url, response.status, response.body.toString('utf8'), options.userAgent)
      return problem === undefined ? undefined : { url, problem, refused: false }
    } catch (error) {
      return { url, problem: errorMessage(error), refused: (error as StageError).code === 'fetch_refused' }
    }
  }
  const troubles = (await Promise.all(urls.map(look))).filter((trouble) => trouble !== undefined)
  await web.close()
  const usable = urls.filter((url) => !troubles.some((trouble) => trouble.url === url))
  const list = troubles.map(({ url, problem }) => `${url}: ${problem}`)
  if (usable.length === 0) throw new UserError(`nothing to crawl\n  ${list.join('\n  ')}`, hint(troubles))
  for (const line of list) note(`  left out: ${line}`)
  return usable
}

/** RFC 9309 2.3.1: 4xx means no rules, 5xx and 429 that everybody has to stay away. */
function verdict(url: string, status: number, body: string, userAgent: string): string | undefined {
  if (status === 429 || status >= 500) return `its robots.txt answers ${status}, so crawlers have to stay away for now`
  if (status >= 300) return undefined
  return parseRobots(body, userAgent).allowed(url) ? undefined : 'its robots.txt forbids this page to crawlers'
}

function hint(troubles: readonly Trouble[]): string {
  const hosts = troubles.filter(({ refused }) => refused).map(({ url }) => new URL(url).host)
  if (hosts.length === 0) return ''
  return `Loopback, private addresses and odd ports are refused unless named: CRAWL_ALLOW_HOSTS=${[...new Set(hosts)].join(',')}`
}
