/**
 * What has to be asked for at a scrape: of the broker, of Postgres. Each source has a deadline, so that one that is away
 * hangs no scrape: its gauges are absent then, and the failure is counted. Nothing is asked between scrapes.
 */
import { setTimeout as sleep } from 'node:timers/promises'

/** Below Prometheus' own timeout of 10 s. */
export const SCRAPE_DEADLINE_MS = 2_000

/** An answer that came after its scrape serves the next ones for this long: the next two, at 10 s each. */
const KEPT_MS = 30_000

export interface Source<T> {
  /** Of this scrape, or of one a moment ago; undefined: not had in time, or it failed. */
  readonly value: () => T | undefined
}

interface Options {
  readonly deadlineMs?: number | undefined
  readonly now?: () => number
}

/** `onFailure` is told of each scrape that goes without a source. */
export function createScrape(
  onFailure: (source: string, error: unknown) => void,
  { deadlineMs = SCRAPE_DEADLINE_MS, now = Date.now }: Options = {},
) {
  const sources: (() => Promise<void>)[] = []

  function add<T>(name: string, ask: () => Promise<T>): Source<T> {
    let last: { readonly value: T; readonly atMs: number } | undefined
    /** One that is late is waited for at the next scrape, and scrapes that overlap share it; asked again it would pile up. */
    let pending: Promise<void> | undefined
    const kept = () => (last && now() - last.atMs < KEPT_MS ? last : undefined)

    async function answer() {
      try {
        last = { value: await ask(), atMs: now() }
      } catch (error) {
        // It says itself that it does not know: what was known before is not told as if it were so now.
        last = undefined
        throw error
      }
    }
    sources.push(async () => {
      pending ??= answer().finally(() => (pending = undefined))
      pending.catch(() => {})
      const late = new AbortController()
      try {
        await Promise.race([
          pending,
          sleep(deadlineMs, undefined, { signal: late.signal }).then(() => {
            if (!kept()) throw new Error(`no answer within ${deadlineMs} ms`)
          }),
        ])
      } catch (error) {
        onFailure(name, error)
      } finally {
        late.abort()
      }
    })
    return { value: () => kept()?.value }
  }
  return {
    add,
    /** Asks all of them, side by side. */
    refresh: async (): Promise<void> => {
      await Promise.all(sources.map((refresh) => refresh()))
    },
  }
}

export type Scrape = ReturnType<typeof createScrape>
