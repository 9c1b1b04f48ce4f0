/** Checks an answer of `POST /embeddings`: the right vector for each input, or none. */
import { toSql } from 'pgvector'
import { DependencyUnavailable } from '../../streams/errors.ts'

export interface Answer {
  /** By input; null where the vector is unusable (NaN, infinite or all zeros), which is that input's own trouble. */
  readonly vectors: readonly (string | null)[]
  /** Tokens billed, as the server counts; undefined where it does not say. */
  readonly tokens: number | undefined
}

interface Item {
  readonly index?: unknown
  readonly embedding?: unknown
}

/** @throws DependencyUnavailable when count, indices or dimensions are wrong: no page is to blame for that. */
export function readAnswer(body: unknown, inputs: number, dimensions: number): Answer {
  const { data, usage } = (body ?? {}) as {
    data?: unknown
    usage?: { prompt_tokens?: unknown; total_tokens?: unknown }
  }
  if (!Array.isArray(data)) throw refused('the answer holds no list of vectors')
  if (data.length !== inputs) throw refused(`${data.length} vectors for ${inputs} inputs`)
  const vectors: (string | null | undefined)[] = Array.from({ length: inputs })
  for (const { index, embedding } of data as Item[]) {
    // Order means nothing, the index does: servers that work in parallel answer as they finish.
    if (typeof index !== 'number' || !(index in vectors)) throw refused(`index ${String(index)} is out of range`)
    if (vectors[index] !== undefined) throw refused(`index ${index} came twice`)
    vectors[index] = toText(readVector(embedding, dimensions))
  }
  const billed = usage?.prompt_tokens ?? usage?.total_tokens
  return {
    vectors: vectors as (string | null)[],
    tokens: typeof billed === 'number' && billed >= 0 ? billed : undefined,
  }
}

/** Little-endian float32 in base64, or a list of numbers: servers are known to answer either, whatever was asked. */
function readVector(embedding: unknown, dimensions: number): number[] {
  const vector = typeof embedding === 'string' ? decodeFloats(embedding) : embedding
  if (!Array.isArray(vector)) throw refused('a vector is neither base64 nor a list')
  if (vector.length !== dimensions)
    throw refused(`a vector of ${vector.length} dimensions, ${dimensions} were asked for`)
  return vector as number[]
}

function decodeFloats(base64: string): number[] {
  const bytes = Buffer.from(base64, 'base64')
  if (bytes.length % 4 !== 0) throw refused(`a vector of ${bytes.length} bytes, which is no multiple of 4`)
  return Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(i * 4))
}

/**
 * pgvector's text form. Six decimals are more than a halfvec's 11 bits keep of a normalised vector, and half the SQL of
 * a double's digits; `toPrecision` would cost a second of CPU per 3,000 vectors of 1,536.
 */
function toText(vector: readonly number[]): string | null {
  let largest = 0
  for (const value of vector) {
    if (typeof value !== 'number' || !Number.isFinite(value)) return null
    largest = Math.max(largest, Math.abs(value))
  }
  if (largest === 0) return null
  // A model that does not normalise may keep its values where six decimals would blur them.
  const scale = largest < 0.01 ? 1 / largest : 1
  return toSql(vector.map((value) => Math.round(value * scale * 1e6) / 1e6))
}

const refused = (message: string) => new DependencyUnavailable('embeddings', `embeddings: answer refused: ${message}`)
