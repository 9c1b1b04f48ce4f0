/** Reads a response body to the end or to a limit, content codings removed. */
import { type Readable, type Transform } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { StageError } from '../../streams/errors.ts'
import { tooLarge } from './fetch-errors.ts'

/** Nobody stacks more codings than this except to hurt. */
const MAX_CODINGS = 2

const decoders: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
}

export interface BodyLimits {
  readonly maxBytes: number
  readonly overflow: 'refuse' | 'truncate'
}

/**
 * The cap counts DECODED bytes: undici's `maxResponseSize` counts those on the wire, and under it a bomb of 1:1000
 * delivers a thousand times the cap. zlib hands out 16 KiB at a time, so at most that much is held beyond the cap.
 * The body is always read to its end or destroyed.
 */
export async function readBody(body: Readable, encoding: string, limits: BodyLimits): Promise<Buffer> {
  const stream = decoded(body, encoding)
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      bytes += chunk.length
      chunks.push(chunk)
      if (bytes > limits.maxBytes) {
        if (limits.overflow === 'refuse') throw tooLarge()
        break
      }
    }
  } finally {
    body.destroy()
    stream.destroy()
  }
  return Buffer.concat(chunks).subarray(0, limits.maxBytes)
}

function decoded(body: Readable, encoding: string): Readable {
  const codings = encoding
    .toLowerCase()
    .split(',')
    .map((coding) => coding.trim())
    .filter((c) => c && c !== 'identity')
  const makers = codings.reverse().map((coding) => decoders[coding])
  if (makers.length > MAX_CODINGS || makers.includes(undefined)) {
    body.destroy()
    throw new StageError('fetch_failed', 'the content coding is not supported')
  }
  return makers.reduce<Readable>((stream, make) => chained(stream, make!()), body)
}

/** `pipe` does not carry errors: a connection that breaks off would leave the decoder waiting for ever. */
function chained(from: Readable, to: Transform): Transform {
  from.on('error', (error) => to.destroy(error))
  to.on('close', () => from.destroy())
  return from.pipe(to)
}
