/** Bytes to text, by the rules of browsers with one exception that real crawls ask for. */
import sniff from 'html-encoding-sniffer'
import { parseContentType } from './content-type.ts'

/** What the sniffer answers where nothing is declared. Encodings no longer supported map to it too: same treatment. */
const UNDECLARED = 'replacement'
/** One page in ten that declare their charset in a `meta` does so beyond the standard's 1,024 bytes. */
const PRESCAN_BYTES = 4096

/**
 * Decodes a page's bytes. Order: byte order mark, the transport's charset, `meta`; then, where nothing is declared,
 * UTF-8 if the bytes are valid UTF-8 (the standard's windows-1252 would garble them), else windows-1252.
 * Never throws: bytes that do not fit the charset become U+FFFD.
 */
export function decode(body: Uint8Array, contentType: string): string {
  const { essence, charset } = parseContentType(contentType)
  const html = essence === 'text/html' || essence === ''
  const options = { transportLayerEncodingLabel: charset, defaultEncoding: UNDECLARED }
  const encoding = sniff(body, html ? { ...options, maxPrescanBytes: PRESCAN_BYTES } : { ...options, xml: true })
  if (encoding.toLowerCase() !== UNDECLARED) return decodeAs(encoding, body)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body)
  } catch {
    return decodeAs('windows-1252', body)
  }
}

function decodeAs(encoding: string, body: Uint8Array): string {
  try {
    return new TextDecoder(encoding).decode(body)
  } catch {
    // A label of the standard that this runtime's ICU lacks (x-user-defined).
    return new TextDecoder('windows-1252').decode(body)
  }
}
