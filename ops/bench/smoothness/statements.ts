/**
 * Reads a connection's PostgreSQL protocol as it passes by and says what is in flight: a statement from its first
 * message to ReadyForQuery, a transaction from BEGIN to the ReadyForQuery that says that none is open any more.
 */
import { createFrameReader, readCString } from '../../embedded/pg-frames.ts'
import type { Frame } from '../../embedded/pg-frames.ts'

export interface LoggedWork {
  readonly startMs: number
  endMs: number | null
  /** Of each statement: when its first message came. BEGIN and COMMIT are among them. */
  readonly statementsMs: number[]
  /** The first text that is not BEGIN; shortened. */
  text: string
  transaction: boolean
  /** Every text in it is the control plane's: leases, not work. */
  control: boolean
  /** The connection closed in the middle. */
  cut: boolean
}

interface Options {
  readonly now: () => number
  readonly isControl: (text: string) => boolean
  /** Called when a piece of work begins; it is filled while it runs. */
  readonly onWork: (work: LoggedWork) => void
}

/** Frames a client sends to have something done, as opposed to Sync, Flush, Terminate and passwords. */
const WORK = new Set(['Q', 'P', 'B', 'D', 'E', 'C', 'F'])
const BRACKET = /^\s*(begin|start transaction|commit|rollback|end)\b/i
const KEPT_TEXT = 160

export function createStatementTracker({ now, isControl, onWork }: Options) {
  const fromClient = createFrameReader()
  const fromServer = createFrameReader()
  let started = false
  let work: LoggedWork | undefined
  /** ReadyForQuery's that are due: one for each simple query and each Sync. */
  let due = 0
  /** Between the first message of an extended query and its Sync. */
  let open = false

  function begin(): LoggedWork {
    const begun: LoggedWork = {
      startMs: now(),
      endMs: null,
      statementsMs: [],
      text: '',
      transaction: false,
      control: false,
      cut: false,
    }
    onWork(begun)
    return begun
  }

  function clientSent(frame: Frame): void {
    if (frame.type === 'S' || frame.type === 'Q' || frame.type === 'F') due += 1
    if (frame.type === 'S') open = false
    if (!WORK.has(frame.type)) return
    work ??= begin()
    if (!open) work.statementsMs.push(now())
    open = frame.type !== 'Q' && frame.type !== 'F'
    const text = textOf(frame)
    if (text !== undefined) describe(work, text)
  }

  function describe(to: LoggedWork, text: string): void {
    if (/^\s*(begin|start transaction)\b/i.test(text)) to.transaction = true
    if (BRACKET.test(text)) return
    to.control = isControl(text) && (to.text === '' || to.control)
    if (to.text === '') to.text = text.replace(/\s+/g, ' ').trim().slice(0, KEPT_TEXT)
  }

  /** `I`: no transaction is open. */
  function serverReady(status: string): void {
    due = Math.max(0, due - 1)
    if (work && status === 'I' && due === 0 && !open) finish(false)
  }

  function finish(cut: boolean): void {
    if (!work) return
    work.endMs = now()
    work.cut = cut
    work = undefined
  }

  return {
    /** What the client sends, before it is passed on. */
    client(data: Buffer): void {
      fromClient.push(data)
      // The first message carries no tag. An SSL request would be answered by one untagged byte: our clients send none.
      if (!started && fromClient.nextUntagged()) started = true
      for (let frame = started && fromClient.next(); frame; frame = fromClient.next()) clientSent(frame)
    },
    /** What the server answers, before it is passed on: who waits for it cannot have sent anything new yet. */
    server(data: Buffer): void {
      fromServer.push(data)
      for (let frame = fromServer.next(); frame; frame = fromServer.next())
        if (frame.type === 'Z') serverReady(String.fromCharCode(frame.bytes[5]!))
    },
    closed: () => finish(true),
  }
}

/** Q: the text. P: the statement's name, then the text. */
function textOf({ type, bytes }: Frame): string | undefined {
  if (type === 'Q') return readCString(bytes, 5)[0]
  if (type === 'P') return readCString(bytes, readCString(bytes, 5)[1])[0]
  return undefined
}
