/** What was started from the console and takes longer than a request may: seen, and stopped, while it goes on. */
import { randomUUID } from 'node:crypto'
import { errorMessage } from '../../streams/errors.ts'

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
  /** Resolves once all have come to an end. */
  readonly close: () => Promise<void>
}

const KEPT = 10
const QUICK_MS = 1_500

export function createJobs(quickMs = QUICK_MS): Jobs {
  let jobs: (Job & { readonly cut: AbortController; readonly ended: Promise<void> })[] = []

  async function start(what: string, work: Parameters<Jobs['start']>[1]): Promise<object> {
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
    close: async () => {
      for (const { cut } of jobs) cut.abort(new Error('this instance ends'))
      await Promise.all(jobs.map(({ ended }) => ended))
    },
  }
}
