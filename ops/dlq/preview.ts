/** A bounded view of a record's value: pages are up to 5 MB, and what cannot be decoded may be anything. */
import type { Codec } from '../../schemas/codec.ts'
import type { ConsumedTopic } from '../../schemas/topics.ts'
import { errorMessage } from '../../streams/errors.ts'
import type { Preview } from './types.ts'

const MAX_ITEMS = 20
const MAX_BYTES = 256

/** @param maxText characters kept of each text in it. Never throws: a registry that is away leaves the bytes. */
export async function previewOf(
  codec: Codec,
  topic: ConsumedTopic,
  value: Buffer | null,
  maxText: number,
): Promise<Preview> {
  if (value === null) return { kind: 'empty' }
  try {
    return { kind: 'decoded', value: bounded(await codec.decode(topic, value), maxText) }
  } catch (error) {
    return bytesOf(value, errorMessage(error))
  }
}

function bounded(value: unknown, maxText: number): unknown {
  if (typeof value === 'string') return shorten(value, maxText)
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
  if (Buffer.isBuffer(value) || value instanceof Uint8Array) return bytesText(Buffer.from(value), maxText)
  if (Array.isArray(value)) {
    const items = value.slice(0, MAX_ITEMS).map((item) => bounded(item, maxText))
    return value.length > MAX_ITEMS ? [...items, `… ${value.length - MAX_ITEMS} more`] : items
  }
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, bounded(one, maxText)]))
  return value
}

const shorten = (text: string, max: number) =>
  text.length <= max ? text : `${text.slice(0, max)}… (${text.length} characters)`

function bytesText(bytes: Buffer, max: number): string {
  const text = asText(bytes.subarray(0, max * 4))
  return text === undefined
    ? `${bytes.subarray(0, MAX_BYTES / 4).toString('hex')}… (${bytes.length} bytes)`
    : text.length > max || bytes.length > max * 4
      ? `${text.slice(0, max)}… (${bytes.length} bytes)`
      : text
}

function bytesOf(value: Buffer, why: string): Preview {
  const text = asText(value.subarray(0, MAX_BYTES))
  const more = value.length > MAX_BYTES ? `… (${value.length} bytes)` : ''
  return text === undefined
    ? { kind: 'hex', value: value.subarray(0, MAX_BYTES).toString('hex') + more, why }
    : { kind: 'text', value: text + more, why }
}

/** undefined: not text. The cut may have gone through a character. */
function asText(bytes: Buffer): string | undefined {
  const text = bytes.toString().replace(/\uFFFD{1,3}$/, '')
  return /[\u0000-\u0008\u000e-\u001a\uFFFD]/.test(text) ? undefined : text
}
