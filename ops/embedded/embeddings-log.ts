/** What arrived at the offline server, a line a request, and the sums. */
import { preciseNow } from './embeddings-load.ts'

export interface LoggedRequest {
  /** 0, 1, 2, … in the order in which their ends were decided; survives that the oldest lines are forgotten. */
  readonly seq: number
  /** When the request's head had arrived: epoch milliseconds with a fraction. */
  readonly atMs: number
  /** When its answer was written; where it had none, when the connection closed; null: it has not yet. */
  endMs: number | null
  readonly inputs: number
  readonly tokens: number
  /** 0: hung, cut, or given up by the client before the answer. */
  readonly status: number
  /** Requests under way at its arrival, itself included. */
  readonly inFlight: number
  /** `x` for inputs that hold `bench:x` (letters, digits, `_`, `-`; an input's first one counts), each once. */
  readonly markers: readonly string[]
}

/** A request from its head to its end. */
export interface Arrival {
  readonly atMs: number
  readonly inFlight: number
  readonly end: (what: { inputs?: readonly string[]; tokens?: number; status: number }) => void
}

/** Two days of a request a second; the oldest are forgotten, the counters are not. */
const MAX_LOG = 200_000
/** Lines a page of `GET /log?since=`: what stops the server for some 10 ms. */
export const LOG_PAGE = 5_000

const MARKER = /bench:([\w-]+)/

export function createRequestLog() {
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

  function arrive(onClose: (call: () => void) => void): Arrival {
    const atMs = preciseNow()
    const inFlight = ++stats.inFlight
    stats.maxInFlight = Math.max(stats.maxInFlight, inFlight)
    let closedMs: number | null = null
    let line: LoggedRequest | undefined
    onClose(() => {
      stats.inFlight -= 1
      closedMs = preciseNow()
      if (line) line.endMs ??= closedMs
    })
    return {
      atMs,
      inFlight,
      end: ({ inputs = [], tokens = 0, status: decided }) => {
        const status = closedMs === null ? decided : 0
        line = {
          seq: stats.requests,
          atMs,
          endMs: status === 0 ? closedMs : preciseNow(),
          inputs: inputs.length,
          tokens,
          status,
          inFlight,
          markers: markersOf(inputs),
        }
        note(line)
      },
    }
  }

  function note(line: LoggedRequest) {
    stats.requests += 1
    stats.inputs += line.inputs
    stats.tokens += line.tokens
    if (line.status === 200) stats.embedded += line.inputs
    stats.status[line.status] = (stats.status[line.status] ?? 0) + 1
    log.push(line)
    if (log.length > MAX_LOG) log.splice(0, MAX_LOG / 2)
  }

  /** Lines from number `since` on, a page of them; undefined: all there are. */
  function page(since: number | undefined): readonly LoggedRequest[] {
    if (since === undefined) return log
    const from = Math.max(0, since - (log[0]?.seq ?? 0))
    return log.slice(from, from + LOG_PAGE)
  }

  return { arrive, page, log: log as readonly LoggedRequest[], stats }
}

function markersOf(inputs: readonly string[]): string[] {
  const markers = new Set<string>()
  for (const input of inputs) {
    const marker = MARKER.exec(input)?.[1]
    if (marker !== undefined) markers.add(marker)
  }
  return [...markers]
}
