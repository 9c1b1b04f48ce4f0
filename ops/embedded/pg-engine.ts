/** The one PGlite engine, spoken to in whole wire messages. Every call runs to its end before the next one starts. */
import type { PGlite } from '@electric-sql/pglite'
import { frame, framesOf, readCString, readyForQuery, startupMessage, type TransactionStatus } from './pg-frames.ts'

export interface Answer {
  readonly bytes: Buffer
  /** undefined: no ReadyForQuery came, the message sequence goes on (Flush, COPY). */
  readonly status: TransactionStatus | undefined
  /** Command tags such as `SET`, `INSERT 0 1`. */
  readonly tags: readonly string[]
  /** Message and SQLSTATE of the first error. */
  readonly error: { readonly code: string; readonly message: string } | undefined
}

export type Engine = ReturnType<typeof createEngine>

/** How an error response starts that ends a backend; no row can hold these zero bytes. */
const FATAL = Buffer.from('SFATAL\0VFATAL\0')

/** @param onFatal called when the engine ends itself. It must not return: the engine would spin in its main loop. */
export function createEngine(db: PGlite, onFatal: (answer: Buffer) => void) {
  /** The engine runs inside this call, synchronously; what the promise adds (copying files in browsers) is not ours. */
  function send(message: Buffer): Answer {
    const chunks: Buffer[] = []
    const done = db.execProtocolRawStream(message, {
      syncToFs: false,
      onRawData(data) {
        const chunk = Buffer.from(data)
        if (chunk.includes(FATAL)) onFatal(chunk)
        chunks.push(chunk)
      },
    })
    // A trap of the engine (out of memory, say) leaves it in no state to go on: the process ends, its log tells why.
    void done.catch((error: unknown) => {
      throw error
    })
    return readAnswer(Buffer.concat(chunks))
  }
  return {
    send,
    query: (sql: string) => send(frame('Q', sql)),
    /** What a client is greeted with; made once, because the engine must not be touched while another is in a transaction. */
    greeting: () => send(startupMessage({ user: 'postgres', database: 'postgres' })).bytes,
  }
}

function readAnswer(bytes: Buffer): Answer {
  let status: TransactionStatus | undefined
  let error: Answer['error']
  const tags: string[] = []
  const kept: Buffer[] = []
  for (const { type, bytes: message } of framesOf(bytes)) {
    if (type === 'Z') {
      status = String.fromCharCode(message[5]!) as TransactionStatus
      continue
    }
    if (type === 'C') tags.push(readCString(message, 5)[0])
    if (type === 'E') error ??= readError(message)
    kept.push(message)
  }
  // Exactly one, at the end, whatever the engine says in between.
  if (status) kept.push(readyForQuery(status))
  return { bytes: Buffer.concat(kept), status, tags, error }
}

function readError(message: Buffer) {
  const fields = new Map<string, string>()
  for (let at = 5; message[at] !== 0;) {
    const [text, next] = readCString(message, at)
    fields.set(text[0]!, text.slice(1))
    at = next
  }
  return { code: fields.get('C') ?? 'XX000', message: fields.get('M') ?? '' }
}

/** Values of a one-column answer. */
export function firstColumn(answer: Answer): string[] {
  return [...framesOf(answer.bytes)]
    .filter(({ type }) => type === 'D')
    .map(({ bytes }) => bytes.toString('utf8', 11, 11 + Math.max(0, bytes.readInt32BE(7))))
}
