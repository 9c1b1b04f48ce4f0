/**
 * Many PostgreSQL clients in front of one PGlite engine. The engine has one session, so clients take turns: a turn is a
 * whole message sequence up to Sync, and a client in a transaction keeps its turn until it ends. Rejected: the
 * `pglite-socket` package, which ignores startup settings, shares SET and statement names between clients and takes
 * turns by single messages.
 */
import { createServer, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'
import { createEngine, type Answer } from './pg-engine.ts'
import * as pg from './pg-frames.ts'
import * as session from './pg-session.ts'
import type { PGlite } from '@electric-sql/pglite'

export interface PgServerOptions {
  readonly db: PGlite
  readonly host: string
  /** 0: a free one. */
  readonly port: number
  readonly maxConnections: number
  /** The engine ended itself; must end the process. */
  readonly onFatal: (answer: Buffer) => void
  /**
   * A client that sits in a transaction this long without a word is disconnected, unless it has set
   * idle_in_transaction_session_timeout itself: it holds up all others.
   */
  readonly idleInTransactionMs: number
}

interface Client {
  readonly id: number
  readonly socket: Socket
  readonly frames: ReturnType<typeof pg.createFrameReader>
  settings: session.Settings
  /** Settings were changed in the transaction that still runs. */
  settingsChanged: boolean
  started: boolean
  /** Messages of the sequence that is still coming in. */
  incoming: Buffer[]
  /** Whole sequences that wait for their turn. */
  readonly turns: Buffer[]
  readonly statements: Set<string>
  waitTimer: NodeJS.Timeout | undefined
  idleTimer: NodeJS.Timeout | undefined
}

/** Messages after which the engine may work: simple query, Sync, Flush, function call, and the end of COPY data. */
const ENDS_TURN = new Set(['Q', 'S', 'H', 'F', 'c', 'f'])

export async function startPgServer(options: PgServerOptions) {
  const engine = createEngine(options.db, options.onFatal)
  const greeting = engine.greeting()
  const settings = session.createSettingsKeeper(engine)
  const clients = new Set<Client>()
  /** In the order in which their turns came in. */
  const waiting: Client[] = []
  /** In a transaction or amid a sequence: nobody else gets a turn. */
  let owner: Client | undefined
  let scheduled = false
  let nextId = 1

  const server = createServer((socket) => {
    socket.setNoDelay(true)
    const client: Client = {
      ...{ id: nextId++, socket, frames: pg.createFrameReader(), settings: new Map(), settingsChanged: false },
      ...{ started: false, incoming: [], turns: [], statements: new Set(), waitTimer: undefined, idleTimer: undefined },
    }
    clients.add(client)
    socket.on('error', () => {})
    socket.on('close', () => leave(client))
    socket.on('data', (data) => {
      try {
        client.frames.push(data)
        receive(client)
      } catch (error) {
        fatal(client, '08P01', `invalid message: ${(error as Error).message}`)
      }
    })
  })

  function receive(client: Client) {
    while (!client.started) {
      const first = client.frames.nextUntagged()
      if (!first) return
      greet(client, first)
    }
    for (let next = client.frames.next(); next; next = client.frames.next()) {
      if (next.type === 'X') return void client.socket.end()
      rememberStatement(client, next)
      client.incoming.push(session.renameStatements(session.refuseCopy(next), statementPrefix(client)))
      if (ENDS_TURN.has(next.type)) {
        client.turns.push(Buffer.concat(client.incoming))
        client.incoming = []
        enqueue(client)
      }
    }
  }

  function greet(client: Client, first: Buffer) {
    const code = first.readInt32BE(4)
    if (code === pg.SSL_REQUEST || code === pg.GSS_REQUEST) return void client.socket.write('N')
    if (code === pg.CANCEL_REQUEST) {
      cancel(first.readInt32BE(8))
      client.started = true
      return void client.socket.end()
    }
    client.started = true
    if (clients.size > options.maxConnections) return fatal(client, '53300', 'sorry, too many clients already')
    client.settings = session.startupSettings(pg.startupParameters(first))
    client.socket.write(withProcessId(greeting, client.id))
  }

  function enqueue(client: Client) {
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

  function takeTurn(client: Client) {
    clearTimeout(client.waitTimer)
    clearTimeout(client.idleTimer)
    const turn = client.turns.shift()
    if (!turn) return
    if (owner !== client) {
      const refused = settings.apply(client.settings)
      if (refused) return fatal(client, refused.code, refused.message)
    }
    const answer = engine.send(turn)
    owner = answer.status === 'I' ? undefined : client
    keepSettings(client, answer)
    client.socket.write(answer.bytes)
    if (client.turns.length > 0) enqueue(client)
    else if (owner) startIdleTimer(client)
  }

  /** A rollback takes settings back, and a failed transaction answers no questions: hence again at its end. */
  function keepSettings(client: Client, { status, tags }: Answer) {
    client.settingsChanged ||= session.changesSettings(tags)
    if (!client.settingsChanged || status === 'E' || status === undefined) return
    client.settings = settings.read(client.settings)
    client.settingsChanged = status === 'T'
  }

  /** Waiting for another's transaction is waiting for a lock. */
  function startWaitTimer(client: Client) {
    const timeouts = ['lock_timeout', 'statement_timeout'].map((name) => session.settingMs(client.settings, name))
    const ms = Math.min(...timeouts.filter((timeout) => timeout > 0))
    if (!Number.isFinite(ms)) return
    client.waitTimer = setTimeout(() => refuseTurn(client, '55P03', 'canceling statement due to lock timeout'), ms)
  }

  /** Only for a client that waits, hence is in no transaction. */
  function refuseTurn(client: Client, code: string, message: string) {
    const at = waiting.indexOf(client)
    if (at < 0 || client === owner) return
    clearTimeout(client.waitTimer)
    waiting.splice(at, 1)
    client.turns.shift()
    client.socket.write(Buffer.concat([pg.errorResponse('ERROR', code, message), pg.readyForQuery('I')]))
    if (client.turns.length > 0) enqueue(client)
  }

  /** What runs cannot be stopped: the engine works in this thread. What waits can. */
  function cancel(id: number) {
    const client = [...clients].find((other) => other.id === id)
    if (client) refuseTurn(client, '57014', 'canceling statement due to user request')
  }

  function startIdleTimer(client: Client) {
    const ms = session.settingMs(client.settings, 'idle_in_transaction_session_timeout') || options.idleInTransactionMs
    client.idleTimer = setTimeout(
      () => fatal(client, '25P03', 'terminating connection due to idle-in-transaction timeout'),
      ms,
    )
  }

  function fatal(client: Client, code: string, message: string) {
    client.socket.end(pg.errorResponse('FATAL', code, message))
    leave(client)
    client.socket.destroySoon()
  }

  /** However a client goes, its open transaction is rolled back and its prepared statements go with it. */
  function leave(client: Client) {
    if (!clients.delete(client)) return
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
    forgetStatements(client)
    schedule()
  }

  const statementPrefix = (client: Client) => `c${client.id}_`

  function rememberStatement(client: Client, { type, bytes }: pg.Frame) {
    if (type === 'P' && session.parsedStatement(bytes)) client.statements.add(session.parsedStatement(bytes))
  }

  function forgetStatements(client: Client) {
    if (client.statements.size === 0 || owner) return
    const closes = [...client.statements].map((name) => pg.frame('C', Buffer.from('S'), statementPrefix(client) + name))
    engine.send(Buffer.concat([...closes, pg.frame('S')]))
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: options.host, port: options.port }, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const client of [...clients]) fatal(client, '57P01', 'terminating connection due to administrator command')
      await closed
    },
  }
}

/** The greeting with this connection's number as its process id, so that a cancel request can name it. */
function withProcessId(greeting: Buffer, id: number): Buffer {
  return Buffer.concat(
    [...pg.framesOf(greeting)].map(({ type, bytes }) => {
      if (type !== 'K') return bytes
      const key = Buffer.from(bytes)
      key.writeInt32BE(id, 5)
      return key
    }),
  )
}
