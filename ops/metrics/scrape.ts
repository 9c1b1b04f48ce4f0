/**
 * What has to be asked for at a scrape: of the broker, of Postgres. Each source has a deadline, so that one that is away
 * hangs no scrape: its gauges are absent then, and the failure is counted. Nothing is asked between scrapes.
 */
import { setTimeout as sleep } from 'node:timers/promises'

/** Below Prometheus' own timeout of 10 s. */
export const SCRAPE_DEADLINE_MS = 2_000

export interface Source<T> {
  /** As of this scrape; undefined: not had in time. */
  readonly value: () => T | undefined
}

export function createScrape(onFailure: (source: string, error: unknown) => void, deadlineMs = SCRAPE_DEADLINE_MS) {
  const sources: (() => Promise<void>)[] = []

  function add<T>(name: string, ask: () => Promise<T>): Source<T> {
    let value: T | undefined
    /** One that is late is waited for at the next scrape; asked again it would only pile up. */
    let pending: Promise<T> | undefined
    sources.push(async () => {
      value = undefined
      pending ??= ask().finally(() => (pending = undefined))
      pending.catch(() => {})
      const late = new AbortController()
      try {
        value = await Promise.race([
          pending,
          sleep(deadlineMs, undefined, { signal: late.signal }).then(() => {
            throw new Error(`no answer within ${deadlineMs} ms`)
          }),
        ])
      } catch (error) {
        onFailure(name, error)
      } finally {
        late.abort()
      }
    })
    return { value: () => value }
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
