/** Publishes pages as any upstream would, and notes when. */
import type { Codec } from '../../../schemas/codec.ts'
import type { Produce } from '../../../streams/runtime/ports.ts'
import { crawledEvent } from './workload.ts'
import type { BenchPage } from './workload.ts'

interface Deps {
  readonly codec: Codec
  readonly produce: Produce
  readonly topic: string
}

export function createPublisher({ codec, produce, topic }: Deps) {
  const openedMs = Date.now()
  let startedMs: number | undefined
  let times: Record<string, number> = {}
  let pages = 0
  return {
    publish: async (crawl: readonly BenchPage[]): Promise<void> => {
      const values = await Promise.all(crawl.map((page) => codec.encode('pages.crawled', crawledEvent(page))))
      const nowMs = Date.now()
      startedMs ??= nowMs
      for (const page of crawl) times[page.id] = nowMs
      pages += crawl.length
      await produce(crawl.map(({ tenant }, index) => ({ topic, key: tenant, value: values[index]! })))
    },
    /** What was published so far was a warm-up. */
    forget: () => {
      startedMs = undefined
      times = {}
    },
    /** A scenario that never came to publish anything began when it was opened. */
    startedMs: () => startedMs ?? openedMs,
    times: () => ({ ...times }),
    count: () => pages,
  }
}
