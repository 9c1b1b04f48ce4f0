/** Every error of the pipeline: a stable code, whether trying again can help, and what it needs to be well again. */

export type Dependency = 'kafka' | 'registry' | 'postgres' | 'embeddings'

/** Failure of one record. `code` is public (dead-letter headers, metrics); `retriable` decides retry or dead letter. */
export class StageError extends Error {
  readonly code: string
  readonly retriable: boolean
  constructor(code: string, message: string, options: { retriable?: boolean; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.name = 'StageError'
    this.code = code
    this.retriable = options.retriable ?? false
  }
}

/** A dependency is away or refuses everybody: the partition pauses, no attempt of the record is used up. */
export class DependencyUnavailable extends Error {
  readonly dependency: Dependency
  /** The dependency's own word on when to come back, milliseconds from now. */
  readonly retryAfterMs: number | undefined
  constructor(dependency: Dependency, message: string, options: { retryAfterMs?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.name = 'DependencyUnavailable'
    this.dependency = dependency
    this.retryAfterMs = options.retryAfterMs
  }
}

/** The partition now belongs to another owner: stop, write nothing more, commit nothing. */
export class Fenced extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'Fenced'
  }
}

/** Wrong use or wrong surroundings: shown to the person as it is, without a stack. `hint` says what to do next. */
export class UserError extends Error {
  readonly hint: string
  readonly exitCode: 1 | 2
  constructor(message: string, hint = '', exitCode: 1 | 2 = 1) {
    super(message)
    this.name = 'UserError'
    this.hint = hint
    this.exitCode = exitCode
  }
}

export const errorMessage = (error: unknown): string => (error instanceof Error ? error.message : String(error))
