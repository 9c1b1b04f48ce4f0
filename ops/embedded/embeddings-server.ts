/**
 * A small OpenAI-compatible embeddings server: the default when the environment names none, and the counterpart of
 * the connector's tests. `node ops/embedded/embeddings-server.ts --port N` prints `{"port":N}` when it listens on
 * loopback and ends when its stdin does, so that it never outlives whoever started it.
 *
 * POST /v1/embeddings, GET /v1/models; beside them, for tests and benchmarks:
 *
 *   POST /faults        a `Faults` (embeddings-faults.ts) in place of all rules before; `{}` is well-behaved
 *   GET  /stats         { requests, inputs, tokens, embedded, inFlight, maxInFlight, status: { "200": n, … } }
 *   GET  /log           [{ seq, atMs, endMs, status, inputs, tokens, inFlight, markers }, …], all that are kept
 *   GET  /log?since=N   the same from `seq` N on, 5,000 at most; the next page is `since` the last `seq` + 1
 *
 * `atMs` is the arrival of a request's head, `endMs` its answer's end, both epoch milliseconds with a fraction of one
 * monotonic clock; a line is written when the request's end is decided, so the order is that of the ends.
 */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text as readText } from 'node:stream/consumers'
import { parseArgs } from 'node:util'
import { countTokens } from '../../streams/3-chunker/tokens.ts'
import { createFaultPlayer, spoil } from './embeddings-faults.ts'
import type { Fault, Faults, Refusal, Vector } from './embeddings-faults.ts'
import { hashedVector } from './embeddings-hashing.ts'
import { sleep } from './embeddings-load.ts'
import { createRequestLog } from './embeddings-log.ts'
import type { Arrival, LoggedRequest } from './embeddings-log.ts'

export type { Fault, Faults, LoggedRequest }

export interface EmbeddingsServer {
  /** Base URL for OPENAI_BASE_URL. */
  readonly url: string
  readonly port: number
  readonly log: readonly LoggedRequest[]
  readonly setFaults: (faults: Faults) => void
  readonly close: () => Promise<void>
}

const DEFAULT_DIMENSIONS = 512
const MODEL = 'sluice-hash-v1'
/** OpenAI's own limits. */
const MAX_INPUTS = 2048
const MAX_DIMENSIONS = 4096

interface Request {
  readonly inputs: readonly string[]
  readonly dimensions: number
  readonly base64: boolean
  readonly model: string
}

interface ServerOptions {
  readonly port?: number
  /** Loopback unless given: it asks nobody who they are. */
  readonly host?: string
  readonly faults?: Faults
}

export async function startEmbeddingsServer({ port = 0, host = '127.0.0.1', faults = {} }: ServerOptions = {}) {
  const player = createFaultPlayer(faults)
  const { arrive, page, log, stats } = createRequestLog()

  async function embed(body: string, response: ServerResponse, { end, inFlight }: Arrival): Promise<void> {
    const request = readRequest(body)
    if ('status' in request) {
      end({ status: request.status })
      return refuse(response, request)
    }
    const { inputs } = request
    const tokens = inputs.reduce((sum, input) => sum + countTokens(input), 0)
    const barred = player.atTheDoor(tokens)
    const headers = player.headers()
    if (barred) {
      end({ inputs, tokens, status: barred.status })
      return refuse(response, barred, headers)
    }
    const refusal = player.refusal(inputs, tokens, inFlight)
    const fault = refusal ? undefined : player.next()
    const vectors = await work(request)
    const failed =
      refusal ?? (fault?.kind === 'status' ? { ...fault, message: `Played status ${fault.status}` } : undefined)
    const silent = fault?.kind === 'hang' || fault?.kind === 'cut'
    end({ inputs, tokens, status: silent ? 0 : (failed?.status ?? 200) })
    if (failed) return refuse(response, failed, headers)
    if (fault?.kind === 'cut') response.destroy()
    if (!silent) answer(response, request, vectors, tokens, fault, headers)
  }

  /** The computing is part of the latency that was asked for, not on top of it. */
  async function work({ inputs, dimensions }: Request): Promise<Vector[]> {
    const latencyMs = player.latencyMs()
    const done = Promise.all([player.serve(), latencyMs > 0 && sleep(latencyMs)])
    const vectors = inputs.map((input, index) => ({ index, embedding: hashedVector(input, dimensions) }))
    await done
    return vectors
  }

  async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://loopback')
    const path = `${request.method} ${pathname}`
    if (path === 'POST /v1/embeddings') {
      const arrival = arrive((call) => response.on('close', call))
      await embed(await readText(request), response, arrival)
    } else if (path === 'GET /v1/models')
      json(response, 200, { object: 'list', data: [{ id: MODEL, object: 'model' }] })
    else if (path === 'GET /stats') json(response, 200, stats)
    else if (path === 'GET /log') {
      const since = searchParams.get('since')
      json(response, 200, page(since === null ? undefined : Number(since)))
    } else if (path === 'POST /faults') {
      player.set(JSON.parse(await readText(request)) as Faults)
      json(response, 200, {})
    } else refuse(response, { status: 404, message: `no such path: ${path}` })
  }

  const server = createServer((request, response) => {
    route(request, response).catch((error: unknown) => {
      // The client went away in the middle, or sent no JSON: nobody else is concerned.
      if (!response.headersSent) refuse(response, { status: 400, message: String(error) })
    })
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve))
  const actual = (server.address() as AddressInfo).port
  return {
    url: `http://127.0.0.1:${actual}/v1`,
    port: actual,
    log,
    setFaults: player.set,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  } satisfies EmbeddingsServer
}

function readRequest(body: string): Request | Refusal {
  const { input, model, dimensions = DEFAULT_DIMENSIONS, encoding_format: format = 'float' } = JSON.parse(body)
  const inputs: unknown[] = Array.isArray(input) ? input : [input]
  const bad = (message: string, param: string) => ({ status: 400, message, param })
  if (typeof model !== 'string' || model === '') return bad('model is missing', 'model')
  if (inputs.length === 0 || inputs.length > MAX_INPUTS) return bad(`1 to ${MAX_INPUTS} inputs are taken`, 'input')
  if (!inputs.every((text) => typeof text === 'string' && text !== ''))
    return bad('inputs are non-empty strings', 'input')
  if (!Number.isInteger(dimensions) || dimensions < 1 || dimensions > MAX_DIMENSIONS)
    return bad(`dimensions are 1 to ${MAX_DIMENSIONS}`, 'dimensions')
  if (format !== 'float' && format !== 'base64') return bad('float or base64', 'encoding_format')
  return { inputs: inputs as string[], dimensions, base64: format === 'base64', model }
}

function answer(
  response: ServerResponse,
  request: Request,
  vectors: readonly Vector[],
  tokens: number,
  fault: Fault | undefined,
  headers: Record<string, string>,
): void {
  const base64 = request.base64 && fault?.kind !== 'floats'
  const data = spoil(vectors, fault).map((vector) => ({ object: 'embedding', ...encode(vector, base64) }))
  const usage = { prompt_tokens: tokens, total_tokens: tokens }
  json(response, 200, { object: 'list', data, model: request.model, usage }, headers)
}

const encode = ({ index, embedding }: Vector, base64: boolean) => ({
  index,
  embedding: base64
    ? Buffer.from(embedding.buffer, embedding.byteOffset, embedding.byteLength).toString('base64')
    : Array.from(embedding),
})

function refuse(response: ServerResponse, refusal: Refusal, limits: Record<string, string> = {}): void {
  const { status, message, code, param, retryAfter, retryAfterMs } = refusal
  const type = status === 429 ? 'rate_limit_error' : status < 500 ? 'invalid_request_error' : 'server_error'
  const headers = {
    ...limits,
    ...(retryAfter !== undefined && { 'retry-after': retryAfter }),
    ...(retryAfterMs !== undefined && { 'retry-after-ms': String(retryAfterMs) }),
  }
  json(response, status, { error: { message, type, code: code ?? null, param: param ?? null } }, headers)
}

function json(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  const bytes = Buffer.from(JSON.stringify(body))
  response
    .writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length, ...headers })
    .end(bytes)
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { port: { type: 'string', default: '0' } } })
  const server = await startEmbeddingsServer({ port: Number(values.port) })
  console.log(JSON.stringify({ port: server.port }))
  process.stdin.resume().on('end', () => void server.close().then(() => process.exit(0)))
}
