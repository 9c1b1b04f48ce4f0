/**
 * A small OpenAI-compatible embeddings server: the default when the environment names none, and the counterpart of
 * the connector's tests. `node ops/embedded/embeddings-server.ts --port N` prints `{"port":N}` when it listens on
 * loopback and ends when its stdin does, so that it never outlives whoever started it.
 *
 * POST /v1/embeddings, GET /v1/models; for tests GET /stats (counters), GET /log (a line a request), POST /faults.
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

export type { Fault, Faults }

export interface LoggedRequest {
  readonly atMs: number
  readonly inputs: number
  readonly tokens: number
  /** 0: hung or cut. */
  readonly status: number
}

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
/** Two days of a request a second; the oldest are forgotten, the counters are not. */
const MAX_LOG = 200_000

interface Request {
  readonly inputs: readonly string[]
  readonly dimensions: number
  readonly base64: boolean
  readonly model: string
}

export async function startEmbeddingsServer({ port = 0, faults = {} }: { port?: number; faults?: Faults } = {}) {
  const player = createFaultPlayer(faults)
  const log: LoggedRequest[] = []
  const stats = {
    requests: 0,
    inputs: 0,
    tokens: 0,
    embedded: 0,
    inFlight: 0,
    maxInFlight: 0,
    status: {} as Record<string, number>,
  }

  function note(inputs: number, tokens: number, status: number) {
    stats.requests += 1
    stats.inputs += inputs
    stats.tokens += tokens
    if (status === 200) stats.embedded += inputs
    stats.status[status] = (stats.status[status] ?? 0) + 1
    log.push({ atMs: Date.now(), inputs, tokens, status })
    if (log.length > MAX_LOG) log.splice(0, MAX_LOG / 2)
  }

  async function embed(body: string, response: ServerResponse): Promise<void> {
    const request = readRequest(body)
    if ('status' in request) {
      note(0, 0, request.status)
      return refuse(response, request)
    }
    const { inputs } = request
    const tokens = inputs.reduce((sum, input) => sum + countTokens(input), 0)
    const refusal = player.refusal(inputs, tokens, stats.inFlight)
    const fault = refusal ? undefined : player.next()
    if (player.latencyMs() > 0) await new Promise((resolve) => setTimeout(resolve, player.latencyMs()))
    const failed =
      refusal ?? (fault?.kind === 'status' ? { ...fault, message: `Played status ${fault.status}` } : undefined)
    const silent = fault?.kind === 'hang' || fault?.kind === 'cut'
    note(inputs.length, tokens, silent ? 0 : (failed?.status ?? 200))
    if (failed) return refuse(response, failed)
    if (fault?.kind === 'cut') response.destroy()
    if (!silent) answer(response, request, tokens, fault)
  }

  async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = `${request.method} ${(request.url ?? '').split('?')[0]}`
    if (path === 'POST /v1/embeddings') {
      stats.inFlight += 1
      stats.maxInFlight = Math.max(stats.maxInFlight, stats.inFlight)
      response.on('close', () => (stats.inFlight -= 1))
      await embed(await readText(request), response)
    } else if (path === 'GET /v1/models')
      json(response, 200, { object: 'list', data: [{ id: MODEL, object: 'model' }] })
    else if (path === 'GET /stats') json(response, 200, stats)
    else if (path === 'GET /log') json(response, 200, log)
    else if (path === 'POST /faults') {
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
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve))
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

function answer(response: ServerResponse, request: Request, tokens: number, fault: Fault | undefined): void {
  const vectors = request.inputs.map((input, index) => ({ index, embedding: hashedVector(input, request.dimensions) }))
  const base64 = request.base64 && fault?.kind !== 'floats'
  const data = spoil(vectors, fault).map((vector) => ({ object: 'embedding', ...encode(vector, base64) }))
  json(response, 200, {
    object: 'list',
    data,
    model: request.model,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  })
}

const encode = ({ index, embedding }: Vector, base64: boolean) => ({
  index,
  embedding: base64
    ? Buffer.from(embedding.buffer, embedding.byteOffset, embedding.byteLength).toString('base64')
    : Array.from(embedding),
})

function refuse(response: ServerResponse, { status, message, code, param, retryAfter }: Refusal): void {
  const type = status === 429 ? 'rate_limit_error' : status < 500 ? 'invalid_request_error' : 'server_error'
  const headers: Record<string, string> = retryAfter === undefined ? {} : { 'retry-after': retryAfter }
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
