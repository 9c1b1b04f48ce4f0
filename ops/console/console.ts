/** The console behind the admin port: its page, its events, its questions and actions. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { describeError } from '../commands/hints.ts'
import { UserError } from '../../streams/errors.ts'
import type { Clock, Logger } from '../../streams/runtime/ports.ts'
import { stageNames, topology } from '../../streams/topology.ts'
import { limitOptions } from '../commands/control-limits.ts'
import { createActions, createQuestions } from './api.ts'
import { createFeed, plain } from './feed.ts'
import type { Topic } from './feed.ts'
import { refuseAction, refuseForeign, refuseToken } from './guard.ts'
import type { Refusal } from './guard.ts'
import { createHistory } from './history.ts'
import { readPageFiles } from './page-files.ts'
import type { Sources } from './ports.ts'

/** A list of a thousand dead letters' ids is 30 kB. */
const MAX_BODY_BYTES = 256 * 1024
const flow = stageNames.map((stage) => ({ stage, from: topology[stage].from }))

export interface Console {
  /** Answers, or says that the path is none of its own. */
  readonly answer: (request: IncomingMessage, response: ServerResponse) => Promise<boolean>
  /** Cuts off what was started here and goes on: beside the drain of the stages, which takes as long. */
  readonly endJobs: () => Promise<void>
  /** What goes on from here is brought to its end. */
  readonly close: () => Promise<void>
}

interface Dependencies {
  readonly sources: Sources
  readonly token: string | undefined
  readonly clock: Clock
  readonly logger: Pick<Logger, 'info' | 'warn'>
}

export function createConsole({ sources, token, clock, logger }: Dependencies): Console {
  const files = readPageFiles()
  const actions = createActions(sources)
  const questions = createQuestions(sources)
  const history = createHistory(sources.sample, clock)
  const { deadLetters, replays, crawls } = sources
  const topics: Topic[] = [
    { name: 'figures', everyMs: 1_000, read: sources.figures },
    { name: 'lag', everyMs: 3_000, read: async () => ({ rows: await sources.lag() }) },
    { name: 'tenants', everyMs: 5_000, read: async () => ({ rows: await sources.tenants() }) },
    { name: 'crawls', everyMs: 5_000, read: async () => ({ rows: await crawls.list() }) },
    // Dead letters are read from their topics: not a question to ask every second.
    ...(deadLetters ? [{ name: 'dead-letters', everyMs: 15_000, read: deadLetters.list }] : []),
    ...(replays ? [{ name: 'replays', everyMs: 3_000, read: async () => ({ rows: await replays.list() }) }] : []),
  ]
  const feed = createFeed({ topics, clock, logger })
  history.onSample((sample) => feed.send('sample', sample))

  /** A file's content tells nothing: the page itself asks for the token. */
  function sendFile(path: string, response: ServerResponse): boolean {
    const file = files.get(path)
    if (file) response.writeHead(200, { 'content-type': file.type }).end(file.body)
    return file !== undefined
  }
  function join(response: ServerResponse) {
    const parts = { deadLetters: deadLetters !== undefined, replays: replays !== undefined }
    const hello = { topology: flow, limits: limitOptions, history: history.all(), ...parts }
    if (!feed.join(response, [['hello', hello]]))
      sendJson(response, 503, { error: 'too many consoles are open', hint: 'Close one of them.' })
  }
  async function act(request: IncomingMessage, response: ServerResponse, path: string) {
    const action = actions.get(path)
    if (!action) return sendJson(response, 404, { error: `no action ${path}`, hint: '' })
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    const result = await action.run(await readBody(request), gone.signal)
    logger.info({ action: path }, 'done from the console')
    for (const name of action.refresh) feed.refresh(name)
    sendJson(response, 200, result)
  }

  return {
    answer: async (request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? '/', 'http://admin')
      const reads = request.method === 'GET' || request.method === 'HEAD'
      if (reads && sendFile(pathname, response)) return true
      if (pathname !== '/events' && !pathname.startsWith('/api/')) return false
      const refusal = refuseToken(request, token) ?? (reads ? refuseForeign(request) : refuseAction(request))
      if (refusal) return refuse(response, refusal)
      try {
        const question = questions.get(pathname)
        if (request.method === 'POST') await act(request, response, pathname)
        else if (!reads) sendJson(response, 405, { error: 'GET reads, POST acts', hint: '' })
        else if (pathname === '/events') join(response)
        else if (question) sendJson(response, 200, await question(searchParams))
        else sendJson(response, 404, { error: `nothing at ${pathname}`, hint: '' })
      } catch (error) {
        const { message, hint } = describeError(error)
        if (!(error instanceof UserError)) logger.warn({ path: pathname, error: message }, 'the console failed')
        sendJson(response, error instanceof UserError ? 400 : 503, { error: message, hint })
      }
      return true
    },
    endJobs: sources.jobs.close,
    close: async () => {
      history.close()
      feed.close()
      await sources.jobs.close()
    },
  }
}

function refuse(response: ServerResponse, { status, ...body }: Refusal): true {
  sendJson(response, status, body)
  return true
}

function sendJson(response: ServerResponse, status: number, body: object) {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body, plain)}\n`)
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length
    if (bytes > MAX_BODY_BYTES) throw new UserError('the body is too large', 'Choose fewer at a time.')
    parts.push(part)
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString())
  } catch {
    throw new UserError('the body is not JSON', 'Send a JSON object with content-type application/json.')
  }
}
