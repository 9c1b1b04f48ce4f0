/** Commands that look at files only: no broker, no database. */
import { readFile } from 'node:fs/promises'
import { checkRobots } from '../../connectors/web/robots-rules.ts'
import { chunkFile } from '../../streams/3-chunker/chunk-file.ts'
import type { FileChunk } from '../../streams/3-chunker/chunk-file.ts'
import { extract as extractPage } from '../../streams/2-processor/extract.ts'
import { extractFile } from '../../streams/2-processor/extract-file.ts'
import { errorMessage } from '../../streams/errors.ts'
import { readConfig } from '../config.ts'
import { note, paint, printRows } from './output.ts'
import type { Output } from './output.ts'

/** `sluice extract`: `{"file","title","language","text","blocks"}` a file. */
export async function extract(files: readonly string[], options: Output): Promise<void> {
  await eachFile(files, async (file) => {
    const page = await extractFile(file)
    printRows([page], options, () => `${paint('bold', page.title || file, process.stdout)}\n\n${page.text}\n`)
  })
}

/** `sluice chunk`: `{"file","index","headingPath","tokens","start","end","content"}` a chunk. */
export async function chunk(files: readonly string[], options: Output & { childTokens?: number }): Promise<void> {
  const { chunker } = readConfig()
  const sizes = { childTokens: options.childTokens ?? chunker.childTokens, parentTokens: chunker.parentTokens }
  const toBlocks = (body: Buffer, contentType: string) =>
    Promise.resolve(extractPage({ body, contentType, url: 'file:///page' }))
  await eachFile(files, async (file) => {
    const chunks = await chunkFile(file, sizes, toBlocks)
    printRows(
      chunks,
      options,
      ({ index, headingPath, tokens, content }: FileChunk) =>
        `${paint('bold', `#${index} ${headingPath.join(' › ')}`, process.stdout)} (${tokens} tokens)\n${content}\n`,
    )
  })
}

/** `sluice robots`: `{"url","allowed"}` a URL. */
export async function robots(
  file: string,
  urls: readonly string[],
  options: Output & { agent: string },
): Promise<void> {
  await eachFile([file], async () => {
    const text = await readFile(file, 'utf8')
    printRows(
      checkRobots(text, options.agent, urls),
      options,
      ({ url, allowed }: { url: string; allowed: boolean }) => `${allowed ? 'allowed   ' : 'disallowed'} ${url}`,
    )
  })
}

/** A file that cannot be read keeps none of the others from their lines; the command fails at its end. */
async function eachFile(files: readonly string[], work: (file: string) => Promise<void>): Promise<void> {
  for (const file of files)
    await work(file).catch((error: unknown) => {
      note(`sluice: ${file}: ${reason(error)}`)
      process.exitCode = 1
    })
}

function reason(error: unknown): string {
  const reasons: Record<string, string> = {
    ENOENT: 'no such file',
    EISDIR: 'is a directory; name its files',
    EACCES: 'may not be read',
    ERR_FS_FILE_TOO_LARGE: 'larger than 2 GiB',
    ERR_STRING_TOO_LONG: 'larger than 512 MiB',
  }
  return reasons[(error as NodeJS.ErrnoException).code ?? ''] ?? errorMessage(error)
}
