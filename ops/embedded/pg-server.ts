/**
 * Many PostgreSQL clients in front of one PGlite engine. Rejected: the `pglite-socket` package. It takes turns by single
 * messages, so that a statement that comes in pieces can be run with another client's text (67 wrong rows of 100 with
 * four clients and parameters of 3 MB), ignores startup settings and shares SET and statement names between clients.
 */
import { createServer, type AddressInfo, type Socket } from 'node:net'
import type { PGlite } from '@electric-sql/pglite'
import { createEngine } from './pg-engine.ts'
import * as pg from './pg-frames.ts'
import { parsedStatement, refuseCopy, renameStatements, startupSettings } from './pg-session.ts'
import { createTurns, type TurnTaker } from './pg-turns.ts'

export interface PgServerOptions {
  readonly db: PGlite
  readonly host: string
  /** 0: a free one. */
  readonly port: number
  readonly maxConnections: number
  /**
   * A client that sits in a transaction this long without a word is disconnected, unless it has set
   * idle_in_transaction_session_timeout itself.
   */
  readonly idleInTransactionMs: number
  /** The engine ended itself; must end the process. */
  readonly onFatal: (answer: Buffer) => void
}

interface Client extends TurnTaker {
  readonly id: number
  readonly socket: Socket
  readonly frames: ReturnType<typeof pg.createFrameReader>
  /** Before the startup message has come, messages carry no tag. */
  started: boolean
  /** Messages of the sequence that is still coming in. */
  incoming: Buffer[]
  /** Names of prepared statements. */
  readonly statements: Set<string>
}

/** Messages after which the engine may work: simple query, Sync, Flush, function call. */
const ENDS_TURN = new Set(['Q', 'S', 'H', 'F'])

export async function startPgServer(options: PgServerOptions) {
  const engine = createEngine(options.db, options.onFatal)
  const greeting = engine.greeting()
  const turns = createTurns(engine, options)
  const clients = new Set<Client>()
  let nextId = 1

  const server = createServer((socket) => {
    socket.setNoDelay(true)
    const client = createClient(nextId++, socket, () => leave(client))
    clients.add(client)
    socket.on('error', () => {})
    socket.on('close', () => leave(client))
    socket.on('data', (data) => {
      try {
        client.frames.push(data)
        receive(client)
      } catch (error) {
        client.fatal('08P01', `invalid message: ${(error as Error).message}`)
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
      if (next.type === 'P') client.statements.add(parsedStatement(next.bytes))
      client.incoming.push(renameStatements(refuseCopy(next), prefixOf(client)))
      if (ENDS_TURN.has(next.type)) {
        client.turns.push(Buffer.concat(client.incoming))
        client.incoming = []
        turns.enqueue(client)
      }
    }
  }

  function greet(client: Client, first: Buffer) {
    const code = first.readInt32BE(4)
    if (code === pg.SSL_REQUEST || code === pg.GSS_REQUEST) return void client.socket.write('N')
    client.started = true
    if (code === pg.CANCEL_REQUEST) {
      cancel(first.readInt32BE(8))
      return void client.socket.end()
    }
    if (clients.size > options.maxConnections) return client.fatal('53300', 'sorry, too many clients already')
    client.settings = startupSettings(pg.startupParameters(first))
    client.socket.write(withProcessId(greeting, client.id))
  }

  function cancel(id: number) {
    const client = [...clients].find((other) => other.id === id)
    if (client) turns.refuse(client, '57014', 'canceling statement due to user request')
  }

  function leave(client: Client) {
    if (!clients.delete(client)) return
    turns.leave(client)
    forgetStatements(client)
  }

  /** Closing statements needs the engine; amid another's transaction they stay, unnamed by anybody, until the end. */
  function forgetStatements(client: Client) {
    const named = [...client.statements].filter((name) => name !== '')
    if (named.length === 0 || !turns.isFree()) return
    const closes = named.map((name) => pg.frame('C', Buffer.from('S'), prefixOf(client) + name))
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
      for (const { fatal } of [...clients]) fatal('57P01', 'terminating connection due to administrator command')
      await closed
    },
  }
}

const createClient = (id: number, socket: Socket, leave: () => void): Client => ({
  ...{ id, socket, frames: pg.createFrameReader(), started: false, incoming: [], statements: new Set<string>() },
  ...{ settings: new Map(), settingsChanged: false, turns: [], waitTimer: undefined, idleTimer: undefined },
  write: (bytes) => void socket.write(bytes),
  fatal(code, message) {
    socket.end(pg.errorResponse('FATAL', code, message))
    leave()
    socket.destroySoon()
  },
})

const prefixOf = ({ id }: Client) => `c${id}_`

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
