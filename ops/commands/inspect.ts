/** Commands that look at files only: no broker, no database. */
import { readFile } from 'node:fs/promises'
import { checkRobots } from '../../connectors/web/robots-rules.ts'
import { chunkFile } from '../../streams/3-chunker/chunk-file.ts'
import type { FileChunk } from '../../streams/3-chunker/chunk-file.ts'
import { extract as extractPage } from '../../streams/2-processor/extract.ts'
import { extractFile } from '../../streams/2-processor/extract-file.ts'
import { UserError, errorMessage } from '../../streams/errors.ts'
import { readConfig } from '../config.ts'
import { paint, printRows } from './output.ts'
import type { Output } from './output.ts'

/** `sluice extract`: `{"file","title","language","text","blocks"}` a file. */
export async function extract(files: readonly string[], options: Output): Promise<void> {
  for (const file of files) {
    const page = await readable(file, extractFile)
    printRows([page], options, () => `${paint('bold', page.title || file, process.stdout)}\n\n${page.text}\n`)
  }
}

/** `sluice chunk`: `{"file","index","headingPath","tokens","start","end","content"}` a chunk. */
export async function chunk(files: readonly string[], options: Output & { childTokens?: number }): Promise<void> {
  const { chunker } = readConfig()
  const sizes = { childTokens: options.childTokens ?? chunker.childTokens, parentTokens: chunker.parentTokens }
  const toBlocks = (body: Buffer, contentType: string) =>
    Promise.resolve(extractPage({ body, contentType, url: 'file:///page' }))
  for (const file of files) {
    const chunks = await readable(file, (path) => chunkFile(path, sizes, toBlocks))
    printRows(
      chunks,
      options,
      ({ index, headingPath, tokens, content }: FileChunk) =>
        `${paint('bold', `#${index} ${headingPath.join(' › ')}`, process.stdout)} (${tokens} tokens)\n${content}\n`,
    )
  }
}

/** `sluice robots`: `{"url","allowed"}` a URL. */
export async function robots(
  file: string,
  urls: readonly string[],
  options: Output & { agent: string },
): Promise<void> {
  const text = await readable(file, (path) => readFile(path, 'utf8'))
  printRows(
    checkRobots(text, options.agent, urls),
    options,
    ({ url, allowed }: { url: string; allowed: boolean }) => `${allowed ? 'allowed   ' : 'disallowed'} ${url}`,
  )
}

async function readable<T>(file: string, read: (path: string) => Promise<T>): Promise<T> {
  try {
    return await read(file)
  } catch (error) {
    throw new UserError(`${file}: ${errorMessage(error)}`)
  }
}
