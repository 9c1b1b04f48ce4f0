/** An input as it is queued, and what is refused before it is. */
import type { EmbeddingInput } from '../../streams/3-chunker/chunker.ts'
import { StageError } from '../../streams/errors.ts'
import type { Item, Job } from './queue.ts'

export const itemOf = (input: EmbeddingInput, job: Job, position: number): Item => ({
  ...input,
  job,
  position,
  load: Math.max(input.tokens, Math.ceil(Buffer.byteLength(input.text) / 4)),
})

/** What every server refuses is refused here, at no cost for the other pages of a batch. */
export function refuse(inputs: readonly EmbeddingInput[], maxTokens: number): StageError | undefined {
  for (const { text, tokens } of inputs) {
    if (text === '') return new StageError('embedding_rejected', 'an input is empty')
    if (tokens > maxTokens)
      return new StageError('embedding_rejected', `an input has ${tokens} tokens, the limit is ${maxTokens}`)
  }
  return undefined
}
