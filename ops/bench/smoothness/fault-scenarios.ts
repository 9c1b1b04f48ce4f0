/** Events from outside: dependencies that are away, limits that change, a tenant that floods. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Scenario } from './scenario.ts'
import type { Scene } from './scene.ts'
import { PAGES_PER_CRAWL, statedApi } from './stated-api.ts'
import { crawlOf } from './workload.ts'

const OUTAGE_S = 30
const REFUSAL_S = 60
/** An operator's word reaches every instance, and leases of the old size run out, within this. */
const LIMIT_GRACE_MS = 5_000

const refusing = (id: string, retryAfter: string | undefined, said: string): Scenario => ({
  id,
  title: `429 for a minute, ${said}`,
  kind: 'event',
  what: `two crawls; from second 15 on the API answers 429 for ${REFUSAL_S} s, ${said}`,
  instances: 2,
  play: async (scene) => {
    await scene.crawl(2 * PAGES_PER_CRAWL)
    await scene.timeline.at(15)
    await scene.receivers.refuse({ status: 429, ...(retryAfter && { retryAfter }) }, REFUSAL_S * 1000)
    outage(scene, '429 begins', '429 ends', REFUSAL_S)
    await sleep(REFUSAL_S * 1000)
  },
})

function outage({ timeline }: Scene, begins: string, ends: string, seconds: number): void {
  const nowMs = Date.now()
  timeline.event(begins, 'mark', nowMs)
  timeline.event(ends, 'recovery', nowMs + seconds * 1000)
  timeline.outage(nowMs, nowMs + seconds * 1000)
}

export const faultScenarios: readonly Scenario[] = [
  {
    id: 'postgres-away',
    title: 'Postgres away for 30 s',
    kind: 'event',
    what: `two crawls; from second 15 on Postgres refuses connections for ${OUTAGE_S} s`,
    instances: 2,
    play: async (scene) => {
      await scene.crawl(2 * PAGES_PER_CRAWL)
      await scene.timeline.at(15)
      await scene.receivers.away('refuse', OUTAGE_S * 1000)
      outage(scene, 'Postgres away', 'Postgres back', OUTAGE_S)
      await sleep(OUTAGE_S * 1000)
    },
  },
  refusing('429-short', '2', 'Retry-After 2 s'),
  refusing('429-long', '50', 'Retry-After 50 s'),
  refusing('429-silent', undefined, 'without Retry-After'),
  {
    id: 'limits',
    title: 'Limits changed while it runs',
    kind: 'event',
    what: 'halved at second 12, back at second 32, by `sluice limit`',
    instances: 2,
    play: async (scene) => {
      await scene.crawl(PAGES_PER_CRAWL)
      await scene.timeline.at(12)
      await limit(scene, 0.5)
      await scene.timeline.at(32)
      await limit(scene, 1)
    },
  },
  {
    id: 'flood',
    title: 'One tenant with 100 times the pages of the others',
    kind: 'event',
    what: 'eleven quiet tenants send 2 pages each, one page a second: first alone, then while the twelfth sends 200 at once',
    instances: 2,
    play: async (scene) => {
      const [loud, ...quiet] = scene.tenants
      const alone = await trickle(scene, quiet, 0)
      scene.timeline.event('flood')
      await scene.crawl(PAGES_PER_CRAWL, 0, [loud!])
      await sleep(3_000)
      return { alone, flooded: await trickle(scene, quiet, 500) }
    },
  },
]

async function limit(scene: Scene, share: number): Promise<void> {
  await scene.command(
    ...['limit', 'embeddings', '--requests-per-minute', String(statedApi.requestsPerMinute * share)],
    ...['--tokens-per-minute', String(statedApi.tokensPerMinute * share)],
  )
  scene.timeline.event(share < 1 ? 'halved' : 'restored')
  // Less is expected of it when everybody knows, more may come at once.
  scene.timeline.limit(share, Date.now() + (share < 1 ? LIMIT_GRACE_MS : 0))
}

/** Two pages of each tenant, a page a second. @returns their ids. */
async function trickle(scene: Scene, tenants: readonly string[], first: number): Promise<string[]> {
  const pages = crawlOf(tenants, 2 * tenants.length, first)
  for (const page of pages) {
    await scene.publish([page])
    await sleep(1_000)
  }
  return pages.map(({ id }) => id)
}
