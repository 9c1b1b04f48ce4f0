/** Waits for something that another process does; the only wait in tests that is not a signal. */
import { setTimeout as sleep } from 'node:timers/promises'

/** @throws after `withinMs`, with what was seen last. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T> | T,
  isThere: (seen: T) => boolean,
  withinMs = 60_000,
): Promise<T> {
  const deadline = Date.now() + withinMs
  for (;;) {
    const seen = await look()
    if (isThere(seen)) return seen
    if (Date.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}; last seen ${inspect(seen)}`)
    await sleep(50)
  }
}

const inspect = (seen: unknown) =>
  JSON.stringify(seen, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value))?.slice(0, 2_000)
