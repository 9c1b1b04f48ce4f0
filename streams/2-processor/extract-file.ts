/** What the processor makes of a file: the core of `sluice extract`. */
import { readFile } from 'node:fs/promises'
import { extname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Block } from '../../schemas/generated/types.ts'
import { extract } from './extract.ts'

export interface ExtractedFile {
  readonly file: string
  readonly title: string
  readonly language: string
  /** The blocks' texts, a line break between them. */
  readonly text: string
  readonly blocks: Block[]
}

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.md': 'text/markdown',
  '.markdown': 'text/markdown',
  '.txt': 'text/plain',
  '.text': 'text/plain',
  '.xhtml': 'application/xhtml+xml',
}

/** The type follows the file's extension, html by default. @throws what reading the file throws. */
export async function extractFile(path: string): Promise<ExtractedFile> {
  const body = await readFile(path)
  const contentType = CONTENT_TYPES[extname(path).toLowerCase()] ?? 'text/html'
  const { title, language, blocks } = extract({ body, contentType, url: pathToFileURL(resolve(path)).href })
  return { file: path, title, language, text: blocks.map((block) => block.text).join('\n'), blocks }
}
