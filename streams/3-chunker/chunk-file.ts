/** What `sluice chunk` prints of a file. */
import { readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import type { Block } from '../../schemas/generated/types.ts'
import { chunkBlocks, chunkLayout } from './chunk.ts'
import type { Chunk, ChunkSizes } from './chunk.ts'
import { sourceLayout } from './source-spans.ts'

/** One child; parents are left out, `index` counts what is printed. */
export interface FileChunk {
  readonly file: string
  readonly index: number
  readonly headingPath: readonly string[]
  readonly tokens: number
  /**
   * UTF-16 offsets into the file's text, null for HTML. `content` is that slice; only a chunk that continues a table
   * has the table's header row before it.
   */
  readonly start: number | null
  readonly end: number | null
  readonly content: string
}

/** How the processor reads a page. */
export type ExtractBlocks = (body: Buffer, contentType: string) => Promise<{ blocks: readonly Block[] }>

const HTML = new Set(['.html', '.htm', '.xhtml'])
const MARKDOWN = new Set(['.md', '.markdown'])

/** By the file's extension: HTML, Markdown, else text (UTF-8). @throws the file system's error. */
export async function chunkFile(file: string, sizes: ChunkSizes, extract: ExtractBlocks): Promise<FileChunk[]> {
  const extension = extname(file).toLowerCase()
  const body = await readFile(file)
  const located = !HTML.has(extension)
  const chunks = located
    ? chunkLayout(sourceLayout(body.toString('utf8'), MARKDOWN.has(extension) ? 'markdown' : 'text'), sizes)
    : chunkBlocks((await extract(body, 'text/html')).blocks, sizes)
  const children = chunks.filter(({ parentIndex }) => parentIndex !== null)
  return children.map((chunk, index) => fileChunk(file, index, chunk, located))
}

const fileChunk = (file: string, index: number, chunk: Chunk, located: boolean): FileChunk => ({
  file,
  index,
  headingPath: chunk.headingPath,
  tokens: chunk.tokens,
  start: located ? chunk.start : null,
  end: located ? chunk.end : null,
  content: chunk.content,
})
