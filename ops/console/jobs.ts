/** What was started from the console and takes longer than a request may: seen, and stopped, while it goes on. */
import { randomUUID } from 'node:crypto'
import { UserError, errorMessage } from '../../streams/errors.ts'

export interface Job {
  readonly id: string
  readonly what: string
  readonly state: 'running' | 'done' | 'failed' | 'stopped'
  readonly detail: string
}

export interface Jobs {
  /** What fails before `quickMs` is thrown; what is done by then is returned; else it goes on by itself. */
  readonly start: (
    what: string,
    work: (tell: (detail: string) => void, signal: AbortSignal) => Promise<string>,
  ) => Promise<object>
  readonly stop: (id: string) => boolean
  /** Newest first. */
  readonly list: () => readonly Job[]
  /** Cuts them off and takes no more. Resolves once all have come to an end, or after `endMs`; said again, it is the same end. */
  readonly close: () => Promise<void>
}

const KEPT = 10
const QUICK_MS = 1_500
/** Above a replay's drain of 20 s, below the 30 s that each part of a shutdown gets. */
const END_MS = 25_000

export function createJobs(quickMs = QUICK_MS, endMs = END_MS): Jobs {
  let jobs: (Job & { readonly cut: AbortController; readonly ended: Promise<void> })[] = []
  let closing: Promise<void> | undefined

  async function start(what: string, work: Parameters<Jobs['start']>[1]): Promise<object> {
    if (closing) throw new UserError('this instance ends', 'Open the console of another instance.')
    const id = randomUUID().slice(0, 8)
    const cut = new AbortController()
    const tell = (change: Partial<Job>) => (jobs = jobs.map((job) => (job.id === id ? { ...job, ...change } : job)))
    const working = work((detail) => tell({ detail }), cut.signal)
    const ended = working.then(
      (detail) => void tell({ state: cut.signal.aborted ? 'stopped' : 'done', detail }),
      (error: unknown) => void tell({ state: cut.signal.aborted ? 'stopped' : 'failed', detail: errorMessage(error) }),
    )
    const ongoing = jobs.filter(({ state }) => state === 'running')
    const over = jobs.filter(({ state }) => state !== 'running').slice(0, KEPT)
    jobs = [{ id, what, state: 'running', detail: 'begun', cut, ended }, ...ongoing, ...over]
    const { promise: late, resolve } = Promise.withResolvers<undefined>()
    const timer = setTimeout(() => resolve(undefined), quickMs)
    const detail = await Promise.race([working, late]).finally(() => clearTimeout(timer))
    return detail === undefined ? { job: id } : { done: detail }
  }
  return {
    start,
    stop: (id) => {
      const job = jobs.find((one) => one.id === id && one.state === 'running')
      job?.cut.abort(new Error('stopped from the console'))
      return job !== undefined
    },
    list: () => jobs.map(({ id, what, state, detail }) => ({ id, what, state, detail })),
    close: () => (closing ??= end()),
  }

  async function end(): Promise<void> {
    for (const { cut } of jobs) cut.abort(new Error('this instance ends'))
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, endMs)
    await Promise.race([Promise.all(jobs.map(({ ended }) => ended)), late]).finally(() => clearTimeout(timer))
  }
}
