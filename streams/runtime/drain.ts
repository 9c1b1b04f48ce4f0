/** How a stage ends: work that began ends and is committed while we are still a member; then the group is left. */
import type { Committer } from './commit.ts'
import type { Runs } from './partition-runs.ts'
import type { Clock } from './ports.ts'

/** Between two tries to commit while draining. */
const RETRY_MS = 250
/** For a client to let go of its connections. */
const CLOSE_MS = 2_000

interface Dependencies {
  readonly runs: Pick<Runs, 'idle'>
  readonly committer: Pick<Committer, 'commitNow'>
  readonly isJoined: () => boolean
  readonly disconnect: () => Promise<void>
  readonly deadlineMs: number
  readonly clock: Clock
}

/**
 * disconnect() waits for ever on a hung handler: past the deadline we leave without it, safely, as commits follow the
 * writes. @returns whether all was finished and committed within the deadline.
 */
export async function drain({
  runs,
  committer,
  isJoined,
  disconnect,
  deadlineMs,
  clock,
}: Dependencies): Promise<boolean> {
  async function finish() {
    await runs.idle()
    // Refused in a rebalance, say; once another generation has begun, it is for the new owners to work again.
    while (!(await committer.commitNow()) && isJoined())
      await new Promise<void>((resolve) => void clock.after(RETRY_MS, resolve))
    await disconnect()
  }
  const drained = await within(finish(), deadlineMs, clock)
  if (!drained) await letGo(disconnect(), clock)
  return drained
}

/** Its failure counts as an end. */
export async function letGo(closing: Promise<unknown>, clock: Clock): Promise<void> {
  await within(closing, CLOSE_MS, clock)
}

/** Whether `work` ended within `ms`; its failure counts as an end. */
async function within(work: Promise<unknown>, ms: number, clock: Clock): Promise<boolean> {
  let cancel = () => {}
  const late = new Promise<false>((resolve) => (cancel = clock.after(ms, () => resolve(false))))
  try {
    return await Promise.race([work.then(() => true).catch(() => true), late])
  } finally {
    cancel()
  }
}
