/**
 * What people have: every page's two tasks in one process, dispatched by a policy, against the same receivers. A page goes
 * the same way (extract, chunk, one embeddings request, one transaction); what differs is when, and what follows a 429.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { seeded } from '../../../streams/throttle/seeded.ts'

export interface Policy {
  readonly title: string
  readonly what: string
  /** When page number `index` is dispatched, ms after the start. */
  readonly dispatchMs: (index: number) => number
  /** Between a page's two tasks. */
  readonly betweenMs: (random: () => number) => number
  /** Before a request that was refused `failures` times is sent again. */
  readonly retryMs: (failures: number, retryAfterMs: number | undefined, random: () => number) => number
}

/** OpenAI's cookbook and most libraries: a second, doubled each time, up to a minute. */
const BACKOFF_BASE_MS = 1_000
const BACKOFF_CAP_MS = 60_000

const atOnce = () => 0
const asTold = (_failures: number, retryAfterMs: number | undefined) => retryAfterMs ?? 0

export const policies: Readonly<Record<'a' | 'b' | 'c', Policy>> = {
  a: {
    title: 'All at once, retries on 429',
    what: '400 tasks at once; after a 429 again when Retry-After says, at once without it',
    dispatchMs: atOnce,
    betweenMs: atOnce,
    retryMs: asTold,
  },
  b: {
    title: 'The old stagger',
    what: 'page i after i × 1.5 s, its chunking 10 to 60 s later',
    dispatchMs: (index) => index * 1_500,
    betweenMs: (random) => 10_000 + random() * 50_000,
    retryMs: asTold,
  },
  c: {
    title: 'Full-jitter backoff',
    what: '400 tasks at once; after the n-th 429 again within 1 s × 2ⁿ (60 s at most), at random',
    dispatchMs: atOnce,
    betweenMs: atOnce,
    retryMs: (failures, _retryAfterMs, random) =>
      random() * Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** Math.min(failures, 20)),
  },
}

export type PolicyId = keyof typeof policies

export interface PageTasks {
  /** The first task: reads what is stored of the page, extracts. */
  readonly process: () => Promise<void>
  /** One request. undefined: done; else it was refused, with the API's word on when to come back. */
  readonly embed: () => Promise<undefined | { readonly retryAfterMs: number | undefined }>
  readonly prepareChunks: () => Promise<void>
  readonly store: () => Promise<void>
}

/** Runs all pages by the policy. @returns the most tasks that were open at a time: dispatched, and not done. */
export async function runPolicy(policy: Policy, pages: readonly PageTasks[], seed = 1): Promise<number> {
  const random = seeded(seed)
  let open = 0
  let most = 0
  const task = async (work: () => Promise<void>) => {
    open += 1
    most = Math.max(most, open)
    await work()
    open -= 1
  }
  const page = async ({ process, prepareChunks, embed, store }: PageTasks, index: number) => {
    await sleep(policy.dispatchMs(index))
    await task(process)
    // The old system's second task is queued at once and then waits out its delay: it is open all the while.
    await task(async () => {
      await sleep(policy.betweenMs(random))
      await prepareChunks()
      for (let failures = 1; ; failures += 1) {
        const refused = await embed()
        if (!refused) break
        await sleep(policy.retryMs(failures, refused.retryAfterMs, random))
      }
      await store()
    })
  }
  await Promise.all(pages.map(page))
  return most
}
