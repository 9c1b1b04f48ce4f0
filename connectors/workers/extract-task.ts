/** What a worker thread gets, and how it says that it has begun. */
import type { ExtractInput, Extracted } from '../../streams/2-processor/extract.ts'

export interface ExtractTask {
  readonly input: ExtractInput
  /** Shared with the main thread: becomes 1 when the worker takes the page up. */
  readonly started: Int32Array
}

export const announced =
  (extract: (input: ExtractInput) => Extracted) =>
  ({ input, started }: ExtractTask): Extracted => {
    Atomics.store(started, 0, 1)
    Atomics.notify(started, 0)
    return extract(input)
  }
