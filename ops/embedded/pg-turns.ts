/**
 * Who may speak to the engine. A turn is a whole message sequence up to Sync; a client in a transaction keeps the
 * engine until it ends. Turns are given in the order in which they came in.
 */
import type { Answer, Engine } from './pg-engine.ts'
import * as pg from './pg-frames.ts'
import { changesSettings, createSettingsKeeper, settingMs, type Settings } from './pg-session.ts'

/** What the turns must know of a client. */
export interface TurnTaker {
  settings: Settings
  /** Settings were changed in the transaction that still runs. */
  settingsChanged: boolean
  /** Whole sequences that wait for their turn. */
  readonly turns: Buffer[]
  waitTimer: NodeJS.Timeout | undefined
  idleTimer: NodeJS.Timeout | undefined
  readonly write: (bytes: Buffer) => void
  /** Ends the connection with an error. */
  readonly fatal: (code: string, message: string) => void
}

export function createTurns(engine: Engine, { idleInTransactionMs }: { readonly idleInTransactionMs: number }) {
  const settings = createSettingsKeeper(engine)
  const waiting: TurnTaker[] = []
  /** In a transaction or amid a sequence: nobody else gets a turn. */
  let owner: TurnTaker | undefined
  let scheduled = false

  /** To be called when a sequence was added to the client's `turns`. */
  function enqueue(client: TurnTaker) {
    if (!waiting.includes(client)) {
      waiting.push(client)
      if (client !== owner) startWaitTimer(client)
    }
    schedule()
  }

  /** One turn per event loop pass, so that sockets are read between turns. */
  function schedule() {
    if (scheduled) return
    scheduled = true
    setImmediate(() => {
      scheduled = false
      const at = owner ? waiting.indexOf(owner) : 0
      const [client] = at < 0 ? [] : waiting.splice(at, 1)
      if (!client) return
      takeTurn(client)
      if (waiting.length > 0) schedule()
    })
  }

  function takeTurn(client: TurnTaker) {
    clearTimeout(client.waitTimer)
    clearTimeout(client.idleTimer)
    const turn = client.turns.shift()
    if (!turn) return
    if (owner !== client) {
      const refused = settings.apply(client.settings)
      if (refused) return client.fatal(refused.code, refused.message)
    }
    const answer = engine.send(turn)
    owner = answer.status === 'I' ? undefined : client
    keepSettings(client, answer)
    client.write(answer.bytes)
    if (client.turns.length > 0) enqueue(client)
    else if (owner) startIdleTimer(client)
  }

  /** A rollback takes settings back, and a failed transaction answers no questions: hence again at its end. */
  function keepSettings(client: TurnTaker, { status, tags }: Answer) {
    client.settingsChanged ||= changesSettings(tags)
    if (!client.settingsChanged || status === 'E' || status === undefined) return
    client.settings = settings.read(client.settings)
    client.settingsChanged = status === 'T'
  }

  /** Waiting for another's transaction is waiting for a lock. */
  function startWaitTimer(client: TurnTaker) {
    const timeouts = ['lock_timeout', 'statement_timeout'].map((name) => settingMs(client.settings, name))
    const ms = Math.min(...timeouts.filter((timeout) => timeout > 0))
    if (!Number.isFinite(ms)) return
    client.waitTimer = setTimeout(() => refuse(client, '55P03', 'canceling statement due to lock timeout'), ms)
  }

  /** Answers a waiting sequence with an error; one that runs cannot be stopped, the engine works in this thread. */
  function refuse(client: TurnTaker, code: string, message: string) {
    const at = waiting.indexOf(client)
    if (at < 0 || client === owner) return
    clearTimeout(client.waitTimer)
    waiting.splice(at, 1)
    client.turns.shift()
    // Who waits is in no transaction.
    client.write(Buffer.concat([pg.errorResponse('ERROR', code, message), pg.readyForQuery('I')]))
    if (client.turns.length > 0) enqueue(client)
  }

  /** A silent client in a transaction holds up all others. */
  function startIdleTimer(client: TurnTaker) {
    const ms = settingMs(client.settings, 'idle_in_transaction_session_timeout') || idleInTransactionMs
    const message = 'terminating connection due to idle-in-transaction timeout'
    client.idleTimer = setTimeout(() => client.fatal('25P03', message), ms)
  }

  /** The client is gone, however it went: its open transaction is rolled back. */
  function leave(client: TurnTaker) {
    clearTimeout(client.waitTimer)
    clearTimeout(client.idleTimer)
    client.turns.length = 0
    const at = waiting.indexOf(client)
    if (at >= 0) waiting.splice(at, 1)
    if (owner === client) {
      // Sync ends a sequence that was cut off; what it leaves open is a transaction.
      if (engine.send(pg.frame('S')).status !== 'I') engine.query('rollback')
      owner = undefined
    }
    schedule()
  }

  return { enqueue, refuse, leave, isFree: () => owner === undefined }
}
