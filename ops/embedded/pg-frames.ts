/** PostgreSQL's wire protocol, as far as a server in front of one engine must read it. */

/** One message: `type` is the tag's character, `bytes` the whole message with its tag and length. */
export interface Frame {
  readonly type: string
  readonly bytes: Buffer
}

/** Code in place of a protocol version in the first message of a connection. */
export const SSL_REQUEST = 80_877_103
export const GSS_REQUEST = 80_877_104
export const CANCEL_REQUEST = 80_877_102
/** The largest message the engine's memory takes; longer ones are an error of the client or an attack. */
const MAX_FRAME_BYTES = 256 * 1024 * 1024

/** Collects what a socket delivers and gives out whole messages. The first ones of a connection carry no tag. */
export function createFrameReader() {
  let chunks: Buffer[] = []
  let length = 0
  const joined = () => {
    const all = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, length)
    chunks = [all]
    return all
  }
  const take = (bytes: number) => {
    const all = joined()
    chunks = bytes < all.length ? [all.subarray(bytes)] : []
    length -= bytes
    return all.subarray(0, bytes)
  }
  /** Only joins once enough has come: a Bind of 10 MB arrives in 160 chunks. */
  const whole = (headerBytes: number) => {
    if (length < headerBytes + 4) return undefined
    const bytes = headerBytes + joinedHead(headerBytes + 4).readInt32BE(headerBytes)
    if (bytes < headerBytes + 4 || bytes > MAX_FRAME_BYTES) throw new Error(`message of ${bytes} bytes`)
    return length < bytes ? undefined : take(bytes)
  }
  const joinedHead = (bytes: number) => (chunks[0]!.length >= bytes ? chunks[0]! : joined())
  return {
    push(data: Buffer) {
      chunks.push(data)
      length += data.length
    },
    /** A message without a tag: startup, SSL request, cancel request. */
    nextUntagged: (): Buffer | undefined => whole(0),
    next(): Frame | undefined {
      const bytes = whole(1)
      return bytes && { type: String.fromCharCode(bytes[0]!), bytes }
    },
  }
}

/** All messages of the engine's answer. */
export function* framesOf(bytes: Buffer): Generator<Frame> {
  for (let at = 0; at + 5 <= bytes.length;) {
    const end = at + 1 + bytes.readInt32BE(at + 1)
    yield { type: String.fromCharCode(bytes[at]!), bytes: bytes.subarray(at, end) }
    at = end
  }
}

export function frame(type: string, ...parts: readonly (Buffer | string)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === 'string' ? cString(part) : part)))
  const head = Buffer.alloc(5)
  head.write(type, 0, 'latin1')
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

export const cString = (text: string) => Buffer.from(`${text}\0`, 'utf8')

/** The text from `at` to the next zero byte, and where the rest starts. */
export function readCString(bytes: Buffer, at: number): [text: string, next: number] {
  const end = bytes.indexOf(0, at)
  if (end < 0) throw new Error('unterminated string')
  return [bytes.toString('utf8', at, end), end + 1]
}

/** Name and value pairs of a startup message. */
export function startupParameters(bytes: Buffer): Map<string, string> {
  const parameters = new Map<string, string>()
  for (let at = 8; at < bytes.length - 1;) {
    const [name, valueAt] = readCString(bytes, at)
    const [value, next] = readCString(bytes, valueAt)
    parameters.set(name, value)
    at = next
  }
  return parameters
}

export function startupMessage(parameters: Readonly<Record<string, string>>): Buffer {
  const body = Buffer.concat([...Object.entries(parameters).flat().map(cString), Buffer.alloc(1)])
  const head = Buffer.alloc(8)
  head.writeInt32BE(body.length + 8, 0)
  head.writeInt32BE(196_608, 4)
  return Buffer.concat([head, body])
}

export const readyForQuery = (status: TransactionStatus) => frame('Z', Buffer.from(status, 'latin1'))

/** Idle, in a transaction, in a failed transaction. */
export type TransactionStatus = 'I' | 'T' | 'E'

export const errorResponse = (severity: 'ERROR' | 'FATAL', code: string, message: string) =>
  frame('E', `S${severity}`, `V${severity}`, `C${code}`, `M${message}`, Buffer.alloc(1))
