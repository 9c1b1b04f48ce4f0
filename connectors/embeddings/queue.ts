/** Inputs of many pages and tenants, waiting to be sent together. */
import type { EmbeddingInput } from '../../streams/3-chunker/chunker.ts'

/** One call of `embed`: a page's inputs. */
export interface Job {
  readonly tenantId: string
  readonly vectors: (string | undefined)[]
  /** Tokens billed for it so far. */
  tokens: number
  missing: number
  /** Answered, failed or aborted: its inputs still waiting are dropped. */
  settled: boolean
  readonly succeed: () => void
  readonly fail: (error: unknown) => void
}

export interface Item extends EmbeddingInput {
  readonly job: Job
  readonly position: number
  /** The larger of our count and the provider's rough one of a token per 4 bytes, which is what it refuses by. */
  readonly load: number
}

export interface BatchLimits {
  readonly maxInputsPerRequest: number
  readonly maxTokensPerRequest: number
}

export const isWanted = ({ job }: Item): boolean => !job.settled

export function createQueue({ maxInputsPerRequest, maxTokensPerRequest }: BatchLimits) {
  let items: Item[] = []
  return {
    add: (more: readonly Item[]) => {
      for (const item of more) items.push(item)
    },
    isEmpty: () => items.length === 0,
    dropUnwanted: () => {
      items = items.filter(isWanted)
    },
    /** A request's worth is there: waiting longer gains nothing. */
    isFull: () => items.length >= maxInputsPerRequest || loadOf(items) >= maxTokensPerRequest,
    /** The oldest inputs that fit one request; at least one. */
    take: (): Item[] => {
      let load = 0
      let count = 0
      for (const item of items) {
        load += item.load
        if (count > 0 && (count === maxInputsPerRequest || load > maxTokensPerRequest)) break
        count += 1
      }
      return items.splice(0, count)
    },
  }
}

export const loadOf = (items: readonly Item[]): number => items.reduce((sum, { load }) => sum + load, 0)
