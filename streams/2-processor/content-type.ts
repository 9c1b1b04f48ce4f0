/** The MIME types that the processor reads. */
import { MIMEType } from 'node:util'

export type Format = 'html' | 'markdown' | 'text'

const FORMATS: Readonly<Record<string, Format>> = {
  'text/html': 'html',
  'application/xhtml+xml': 'html',
  'text/markdown': 'markdown',
  'text/x-markdown': 'markdown',
  'text/plain': 'text',
}

/** Type without parameters, lower-cased, and the charset's label; both empty if the header cannot be read. */
export function parseContentType(contentType: string): { essence: string; charset: string | undefined } {
  try {
    const mime = new MIMEType(contentType.trim())
    return { essence: mime.essence, charset: mime.params.get('charset') ?? undefined }
  } catch {
    // `text/html; charset` and worse are common: the part before the first semicolon still counts.
    return { essence: (contentType.split(';', 1)[0] ?? '').trim().toLowerCase(), charset: undefined }
  }
}

/** How to read a page of this type; undefined: not supported. */
export const formatOf = (contentType: string): Format | undefined => FORMATS[parseContentType(contentType).essence]
