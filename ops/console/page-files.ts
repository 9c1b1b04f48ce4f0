/** The page's own files, read once: plain HTML, CSS and ES modules, as they stand in `page/`. */
import { readFileSync, readdirSync } from 'node:fs'
import { extname, join } from 'node:path'

export interface PageFile {
  readonly type: string
  readonly body: Buffer
}

const folder = join(import.meta.dirname, 'page')
const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** By request path. A list made beforehand: no path that is asked for ever reaches the file system. */
export function readPageFiles(): ReadonlyMap<string, PageFile> {
  const files = new Map<string, PageFile>()
  for (const name of readdirSync(folder)) {
    const type = types[extname(name)]
    if (type)
      files.set(`/${name === 'index.html' ? '' : `console/${name}`}`, { type, body: readFileSync(join(folder, name)) })
  }
  return files
}
