/** Reading a response's headers, the little that the crawler cares for. */
import type { ResponseHeaders } from './ports.ts'

const PAGE_TYPE = /^\s*(text\/html|application\/xhtml\+xml|text\/plain|text\/markdown|text\/x-markdown)\s*(;|$)/i

/** The header's first value, empty if absent. */
export const header = (headers: ResponseHeaders, name: string): string => [headers[name] ?? ''].flat()[0] ?? ''

/** Without a type the body is read: it may still be a page. */
export const isPageType = (contentType: string) => contentType === '' || PAGE_TYPE.test(contentType)

/** For a response without a Content-Type: HTML if it begins like it, else empty. */
export const guessType = (body: Buffer) =>
  /^\s*<(!doctype\s+html|html|head|body)\b/i.test(body.toString('latin1', 0, 512)) ? 'text/html' : ''
