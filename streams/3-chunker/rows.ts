/** Chunks → rows of tenant_knowledge, still without vectors, and the texts to embed. */
import { createHash } from 'node:crypto'
import type { ChunkRow } from '../writes.ts'
import type { Chunk, ChunkSizes } from './chunk.ts'
import { storable } from './layout.ts'
import { countTokens } from './tokens.ts'

export interface ChunkerConfig extends ChunkSizes {
  readonly model: string
  readonly dimensions: number
}

/** Grows when equal pages and configuration give other chunks than before. */
export const CHUNKER_VERSION = 1
/** Grows when the text that is embedded for an equal chunk changes: vectors made before are not reused then. */
const PREFIX_VERSION = 1
/** UTF-16 units of "title › heading path"; 300 are about 75 tokens, a child is 180. */
const MAX_PREFIX = 300

export interface EmbeddingInput {
  readonly text: string
  readonly tokens: number
}

export interface DraftRow {
  readonly row: Omit<ChunkRow, 'embedding'>
  /** null for parents, which are returned and never matched. */
  readonly input: EmbeddingInput | null
}

/** 16 hex digits: equal fingerprints and CHUNKER_VERSION mean that equal pages give equal rows. */
export const configFingerprint = ({ childTokens, parentTokens, model, dimensions }: ChunkerConfig): string =>
  sha256([childTokens, parentTokens, model, dimensions, PREFIX_VERSION]).slice(0, 16)

export function draftRows(title: string, chunks: readonly Chunk[], config: ChunkerConfig): DraftRow[] {
  const line = storable(title).replace(/\s+/g, ' ').trim()
  return chunks.map((chunk) => {
    const text = embeddedText(line, chunk)
    const row = {
      chunkIndex: chunk.index,
      parentIndex: chunk.parentIndex,
      headingPath: chunk.headingPath,
      content: chunk.content,
      tokenCount: chunk.tokens,
      contentHash: sha256([text, config.model, config.dimensions, PREFIX_VERSION]),
    }
    return { row, input: chunk.parentIndex === null ? null : { text, tokens: countTokens(text) } }
  })
}

/** "title › heading path", then the child, less the headings at its start that the path already says. */
function embeddedText(title: string, chunk: Chunk): string {
  const path = chunk.headingPath[0] === title ? chunk.headingPath.slice(1) : chunk.headingPath
  const prefix = shorten([title, ...path].filter(Boolean))
  return [prefix, chunk.content.slice(chunk.bodyOffset)].filter(Boolean).join('\n')
}

/** Of a long path the title and the innermost headings say most. */
function shorten(path: readonly string[]): string {
  const [first = '', ...rest] = path.map((part) => part.slice(0, MAX_PREFIX / 2).toWellFormed())
  while (rest.length > 1 && first.length + rest.join(' › ').length > MAX_PREFIX) rest.shift()
  return [first, ...rest].join(' › ')
}

const sha256 = (fields: readonly (string | number)[]): string =>
  createHash('sha256').update(JSON.stringify(fields)).digest('hex')
