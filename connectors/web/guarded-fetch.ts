/** The one way to the network for URLs that tenants supply: every check, on every hop. */
import type { IncomingHttpHeaders } from 'node:http'
import { Agent, type buildConnector, type Dispatcher } from 'undici'
import { StageError } from '../../streams/errors.ts'
import type { FetchOptions, FetchResponse, GuardedFetch } from '../../streams/1-crawler/ports.ts'
import { aborted, fetchError, timedOut, tooLarge } from './fetch-errors.ts'
import { createGuardedConnector, type Resolve, systemResolve } from './guarded-connector.ts'
import { readBody } from './read-body.ts'
import { admitUrl, createAllowList } from './url-policy.ts'

const MAX_REDIRECTS = 5
const REDIRECTS = new Set([301, 302, 303, 307, 308])
/** An error page or a redirect's body: read this much to keep the connection, else drop it. */
const DUMP_BYTES = 128 * 1024
/** Headers that speak of the URL first asked for: another URL's copy of them would be a false 304. */
const CONDITIONAL = ['if-none-match', 'if-modified-since']

export interface GuardedFetchSettings {
  /** `host` or `host:port` that may resolve to loopback or private addresses: development only. */
  readonly allowHosts?: readonly string[]
  readonly userAgent: string
  readonly maxBytes?: number
  readonly connectTimeoutMs?: number
  readonly headersTimeoutMs?: number
  /** Between two pieces of a body. */
  readonly idleTimeoutMs?: number
  /** Over all hops, headers and bodies. A drip of a byte a second outlives the idle timeout, not this one. */
  readonly totalTimeoutMs?: number
  readonly resolve?: Resolve
  readonly buildConnector?: typeof buildConnector
}

export interface ClosableFetch {
  readonly fetch: GuardedFetch
  readonly close: () => Promise<void>
}

/** Each call makes an Agent of its own: kept-alive sockets skip the connector's checks, so policies never share one. */
export function createGuardedFetch(settings: GuardedFetchSettings): ClosableFetch {
  const allow = createAllowList(settings.allowHosts ?? [])
  const agent = new Agent({
    connect: createGuardedConnector({
      allow,
      resolve: settings.resolve ?? systemResolve,
      connectTimeoutMs: settings.connectTimeoutMs ?? 5_000,
      ...(settings.buildConnector && { build: settings.buildConnector }),
    }),
    connections: 4,
    pipelining: 1,
    headersTimeout: settings.headersTimeoutMs ?? 15_000,
    bodyTimeout: settings.idleTimeoutMs ?? 15_000,
    maxHeaderSize: 32 * 1024,
  })

  const fetch: GuardedFetch = async (text, options = {}) => {
    const deadline = startDeadline(settings.totalTimeoutMs ?? 60_000, options.signal)
    try {
      const work = follow(text, options, deadline.signal)
      work.catch(() => {})
      return await Promise.race([work, deadline.passed])
    } catch (error) {
      throw deadline.signal.aborted ? deadline.reason() : fetchError(error)
    } finally {
      deadline.clear()
    }
  }

  async function follow(text: string, options: FetchOptions, signal: AbortSignal): Promise<FetchResponse> {
    let url = admitUrl(text, undefined, allow)
    let headers = { accept: '*/*', ...options.headers, 'user-agent': settings.userAgent, 'accept-encoding': 'gzip, br' }
    for (let hop = 0; ; hop++) {
      const response = await request(url, headers, signal)
      const location = REDIRECTS.has(response.statusCode) ? single(response.headers['location']) : undefined
      if (location === undefined) return await take(url, response, options)
      await discard(response)
      if (hop === MAX_REDIRECTS) throw new StageError('fetch_too_many_redirects', 'too many redirects')
      const target = admitUrl(location, url, allow)
      if (options.followRedirect && !(await options.followRedirect(target.href))) return bodiless(url, response)
      url = target
      headers = Object.fromEntries(
        Object.entries(headers).filter(([name]) => !CONDITIONAL.includes(name)),
      ) as typeof headers
    }
  }

  async function request(url: URL, headers: Record<string, string>, signal: AbortSignal) {
    const pending = agent.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method: 'GET',
      headers,
      signal,
    })
    // An abort does not reach a request that is still queued: what arrives late is thrown away here.
    pending.then(
      (late) => signal.aborted && late.body.destroy(),
      () => {},
    )
    const response = await pending
    // Destroying a body that is not at its end emits an error; whoever still reads it gets it from the reading.
    response.body.on('error', () => {})
    return response
  }

  async function take(url: URL, response: Dispatcher.ResponseData, options: FetchOptions): Promise<FetchResponse> {
    const headers = response.headers
    if (options.wantBody && !options.wantBody(response.statusCode, headers)) {
      await discard(response)
      return bodiless(url, response)
    }
    const limits = {
      maxBytes: options.maxBytes ?? settings.maxBytes ?? 5 * 1024 * 1024,
      overflow: options.overflow ?? 'refuse',
    }
    if (limits.overflow === 'refuse' && Number(single(headers['content-length'])) > limits.maxBytes) {
      response.body.destroy()
      throw tooLarge()
    }
    const encoding = [headers['content-encoding'] ?? ''].flat().join(',')
    return { ...bodiless(url, response), body: await readBody(response.body, encoding, limits) }
  }

  return { fetch, close: () => agent.destroy() }
}

const bodiless = (url: URL, response: { statusCode: number; headers: IncomingHttpHeaders }): FetchResponse => ({
  status: response.statusCode,
  url: url.href,
  headers: response.headers,
  body: Buffer.alloc(0),
})

const single = (value: string | string[] | undefined) => (Array.isArray(value) ? value[0] : value)

async function discard(response: Dispatcher.ResponseData) {
  if (Number(single(response.headers['content-length'])) > DUMP_BYTES) response.body.destroy()
  else await response.body.dump({ limit: DUMP_BYTES })
}

/** One timer for the whole fetch; aborts the request and rejects `passed`, whichever of them undici heeds. */
function startDeadline(totalMs: number, outer: AbortSignal | undefined) {
  const controller = new AbortController()
  const { promise: passed, reject } = Promise.withResolvers<never>()
  passed.catch(() => {})
  let reason = timedOut
  const end = (why: typeof timedOut) => {
    reason = why
    controller.abort()
    reject(why())
  }
  const timer = setTimeout(() => end(timedOut), totalMs)
  const onOuter = () => end(aborted)
  if (outer?.aborted) onOuter()
  outer?.addEventListener('abort', onOuter, { once: true })
  const clear = () => {
    clearTimeout(timer)
    outer?.removeEventListener('abort', onOuter)
  }
  return { signal: controller.signal, passed, clear, reason: () => reason() }
}
