/**
 * Server-sent events to the consoles that are open. Figures of this process go out every second; what is asked of the
 * broker or the database is asked at its own pace, once for all consoles, one question at a time, and only while
 * somebody looks: the first to come starts it, the last to leave ends it.
 */
import type { ServerResponse } from 'node:http'
import { describeError } from '../commands/hints.ts'
import type { Clock, Logger } from '../../streams/runtime/ports.ts'

/** A console that does not read is let go; its page connects again. */
const MAX_UNSENT_BYTES = 1024 * 1024
/** A console is for people: more than these are a mistake, or worse. */
const MAX_CONSOLES = 32

export interface Topic {
  /** The event's name. */
  readonly name: string
  readonly everyMs: number
  readonly read: () => object | Promise<object>
}

export interface Feed {
  /** false: there are too many; nothing was written. */
  readonly join: (response: ServerResponse, first: readonly (readonly [name: string, data: object])[]) => boolean
  readonly send: (name: string, data: object) => void
  /** Something has been done: what it changed is read now, not at the next turn. */
  readonly refresh: (name: string) => void
  readonly consoles: () => number
  readonly close: () => void
}

interface Dependencies {
  readonly topics: readonly Topic[]
  readonly clock: Clock
  readonly logger: Pick<Logger, 'warn'>
}

export function createFeed({ topics, clock, logger }: Dependencies): Feed {
  const open = new Set<ServerResponse>()
  /** What was sent last, by name: for whoever joins, and so that nothing is said twice. */
  const last = new Map<string, string>()
  const pollers = topics.map((topic) => ({ topic, poll: createPoller(topic) }))

  function createPoller({ name, everyMs, read }: Topic) {
    let cancel = () => {}
    let underWay = false
    let again = false
    async function turn() {
      if (underWay) return void (again = true)
      cancel()
      underWay = true
      try {
        send(name, await read())
      } catch (error) {
        const { message, hint } = describeError(error)
        logger.warn({ part: name, error: message }, 'the console cannot read this')
        send(name, { error: message, hint })
      }
      underWay = false
      if (open.size === 0) return
      const delayMs = again ? 0 : everyMs
      again = false
      cancel = clock.after(delayMs, () => void turn())
    }
    return { turn, stop: () => cancel() }
  }

  function send(name: string, data: object) {
    if (open.size === 0) return
    const text = encode(name, data)
    if (last.get(name) === text) return
    last.set(name, text)
    for (const response of open) write(response, text)
  }
  function write(response: ServerResponse, text: string) {
    if (response.writableLength > MAX_UNSENT_BYTES) return void response.destroy()
    response.write(text)
  }
  function leave(response: ServerResponse) {
    if (!open.delete(response) || open.size > 0) return
    for (const { poll } of pollers) poll.stop()
    last.clear()
  }

  return {
    join: (response, first) => {
      if (open.size >= MAX_CONSOLES) return false
      response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no' })
      for (const [name, data] of first) response.write(encode(name, data))
      for (const text of last.values()) response.write(text)
      open.add(response)
      response.once('close', () => leave(response))
      if (open.size === 1) for (const { poll } of pollers) void poll.turn()
      return true
    },
    send,
    refresh: (name) => {
      if (open.size > 0) void pollers.find(({ topic }) => topic.name === name)?.poll.turn()
    },
    consoles: () => open.size,
    close: () => {
      for (const response of [...open]) {
        leave(response)
        response.end()
      }
    },
  }
}

/** JSON has no line breaks of its own, so a page's title cannot begin another event. */
const encode = (name: string, data: object) => `event: ${name}\ndata: ${JSON.stringify(data, plain)}\n\n`

/** Offsets may pass 2^53: they travel as text. */
export const plain = (_key: string, value: unknown) => (typeof value === 'bigint' ? String(value) : value)
