/**
 * Extraction in worker threads: html parsers can hang in a synchronous loop or eat all memory, and neither may touch the
 * consumer's event loop or another page. One page per worker at a time; a worker past its limits is killed and replaced.
 */
import { Piscina } from 'piscina'
import type { ExtractInput, Extracted } from '../../streams/2-processor/extract.ts'
import { StageError, errorMessage } from '../../streams/errors.ts'
import { createGate } from './gate.ts'

export interface ExtractPoolOptions {
  readonly workers: number
  /** Wall time of one page, from the moment it has a worker of its own (a replaced worker's start, 1 s, included). */
  readonly timeoutMs: number
  /** Old generation of each worker's heap. */
  readonly memoryMb: number
  /** Exports `default (input: ExtractInput) => Extracted`; another one only in tests. */
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
    resourceLimits: { maxOldGenerationSizeMb: memoryMb },
  })
  // Emitted when a worker without a task dies; its replacement is under way.
  pool.on('error', () => {})
  // Pages wait here, not in the pool's queue, where the clock of their timeout would run already.
  const gate = createGate(workers)

  const attempt = async (input: ExtractInput, signal: AbortSignal): Promise<Extracted | Error> => {
    const timeout = AbortSignal.timeout(timeoutMs)
    try {
      // An abort terminates the worker thread, which ends synchronous loops too.
      return (await pool.run(input, { signal: AbortSignal.any([signal, timeout]) })) as Extracted
    } catch (error) {
      signal.throwIfAborted()
      if (timeout.aborted) throw new StageError('extract_timeout', `no result within ${timeoutMs} ms`)
      return failure(error, memoryMb)
    }
  }
  const extract = async (input: ExtractInput, signal: AbortSignal = new AbortController().signal) => {
    const leave = await gate.enter(signal)
    try {
      let result: Extracted | Error = new Error('not tried')
      for (let count = 0; count < ATTEMPTS && result instanceof Error; count++) result = await attempt(input, signal)
      if (result instanceof Error) throw result
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

function failure(error: unknown, memoryMb: number): StageError {
  if ((error as { code?: unknown } | null)?.code === 'ERR_WORKER_OUT_OF_MEMORY')
    return new StageError('extract_out_of_memory', `needs more than ${memoryMb} MB`, { cause: error })
  const options = { retriable: true, cause: error }
  return new StageError('extract_failed', `the worker failed: ${errorMessage(error)}`, options)
}
