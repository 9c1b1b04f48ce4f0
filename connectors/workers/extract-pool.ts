/**
 * Extraction in worker threads: html parsers can hang in a synchronous loop or eat all memory, and neither may touch the
 * consumer's event loop or another page. One page per worker at a time; a worker past its limits is killed and replaced.
 */
import { Piscina } from 'piscina'
import type { ExtractInput, Extracted } from '../../streams/2-processor/extract.ts'
import { StageError, errorMessage } from '../../streams/errors.ts'
import type { ExtractTask } from './extract-task.ts'
import { createGate } from './gate.ts'

export interface ExtractPoolOptions {
  readonly workers: number
  /** Wall time of one page, from the moment its worker takes it up: the start of a replaced worker does not count. */
  readonly timeoutMs: number
  /** Old generation of each worker's heap. */
  readonly memoryMb: number
  /** Exports `default (task: ExtractTask) => Extracted`; another one only in tests. */
  readonly workerFile?: string
}

export interface ExtractPool {
  /**
   * @throws StageError `extract_timeout`, `extract_out_of_memory` (final), `extract_failed` (retriable: the worker died
   * for no reason of the page's); the signal's reason if `signal` aborts first, which frees the worker at once.
   */
  extract(input: ExtractInput, signal?: AbortSignal): Promise<Extracted>
  /** Starts all workers and their DOM (1 s), so that the first pages do not wait for it. */
  warm(): Promise<void>
  /** Waits for the pages that run, refuses others. */
  close(): Promise<void>
}

/**
 * Attempts per page. A worker's heap also holds what earlier pages left, and a worker can be taken down by others: only a
 * page that brings down a fresh worker as well is at fault.
 */
const ATTEMPTS = 2
const BLANK: ExtractInput = { body: new Uint8Array(), contentType: 'text/html', url: 'about:blank' }

export function createExtractPool(options: ExtractPoolOptions): ExtractPool {
  const { workers, timeoutMs, memoryMb } = options
  const filename = options.workerFile ?? new URL('./extract-worker.ts', import.meta.url).href
  const pool = new Piscina({
    filename,
    minThreads: workers,
    maxThreads: workers,
    idleTimeout: Infinity,
    // At its limit a worker has 16 MB left in which to be ended in order; one scavenge that promotes more than that aborts
    // the whole process. A young generation of 24 MB has semi-spaces of 8.
    resourceLimits: { maxOldGenerationSizeMb: memoryMb, maxYoungGenerationSizeMb: 24 },
  })
  // Emitted when a worker without a task dies; its replacement is under way.
  pool.on('error', () => {})
  // Pages wait here, in the order they came; the pool's own queue would start them under a limit of its own.
  const gate = createGate(workers)

  const attempt = async (input: ExtractInput, signal: AbortSignal): Promise<Extracted | StageError> => {
    const clock = startClock(timeoutMs)
    try {
      // An abort terminates the worker thread, which ends synchronous loops too.
      const task: ExtractTask = { input, started: clock.started }
      return (await pool.run(task, { signal: AbortSignal.any([signal, clock.signal]) })) as Extracted
    } catch (error) {
      signal.throwIfAborted()
      if (clock.signal.aborted) throw clock.signal.reason
      return failure(error, memoryMb)
    } finally {
      clock.stop()
    }
  }
  const extract = async (input: ExtractInput, signal: AbortSignal = new AbortController().signal) => {
    const leave = await gate.enter(signal)
    try {
      let result = await attempt(input, signal)
      for (let count = 1; count < ATTEMPTS && result instanceof StageError; count++)
        result = await attempt(input, signal)
      if (result instanceof StageError) throw result
      return result
    } finally {
      leave()
    }
  }
  return {
    extract,
    warm: async () => void (await Promise.all(Array.from({ length: workers }, () => extract(BLANK)))),
    close: () => pool.close(),
  }
}

/** Longest a worker may take to start: thirty times what it needs on an idle core. */
const WORKER_START_MS = 30_000

/** Counts from the worker's own word that it has begun; `signal` aborts with the error to throw. */
function startClock(timeoutMs: number) {
  const started = new Int32Array(new SharedArrayBuffer(4))
  const expiry = new AbortController()
  let stopped = false
  const expire = () => expiry.abort(new StageError('extract_timeout', `no result within ${timeoutMs} ms`))
  const notStarted = () => expiry.abort(new StageError('extract_failed', 'no worker started', { retriable: true }))
  // Also keeps the process alive: the pool lets go of workers that are still starting, whatever waits for them.
  let timer = setTimeout(notStarted, WORKER_START_MS)
  void Promise.resolve(Atomics.waitAsync(started, 0, 0).value).then(() => {
    if (stopped) return
    clearTimeout(timer)
    timer = setTimeout(expire, timeoutMs)
  })
  const stop = () => {
    stopped = true
    clearTimeout(timer)
    // Wakes the wait of a page that never began.
    Atomics.notify(started, 0)
  }
  return { started, signal: expiry.signal, stop }
}

function failure(error: unknown, memoryMb: number): StageError {
  if ((error as { code?: unknown } | null)?.code === 'ERR_WORKER_OUT_OF_MEMORY')
    return new StageError('extract_out_of_memory', `needs more than ${memoryMb} MB`, { cause: error })
  const options = { retriable: true, cause: error }
  return new StageError('extract_failed', `the worker failed: ${errorMessage(error)}`, options)
}
