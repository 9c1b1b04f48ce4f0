/**
 * PGlite with pgvector behind the PostgreSQL wire protocol: `node pglite-server.ts [--data-dir DIR] [--port N]`.
 * Without a folder the database is in memory. Prints `{"port":N}` when ready; ends when its stdin ends, or on SIGTERM.
 */
import { writeSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { PGlite } from '@electric-sql/pglite'
import { vector } from '@electric-sql/pglite-pgvector'
import { startPgServer } from './pg-server.ts'

const { values } = parseArgs({
  options: {
    'data-dir': { type: 'string' },
    // Makes the database and ends.
    'init-only': { type: 'boolean', default: false },
    port: { type: 'string', default: '0' },
    'max-connections': { type: 'string', default: '100' },
    'idle-in-transaction-ms': { type: 'string', default: '60000' },
  },
})

/** The engine's own log: of the start alone, because later it would hold rows of clients' failed statements. */
let starting = true
const db = await PGlite.create({
  dataDir: values['data-dir'] ?? 'memory://',
  extensions: { vector },
  onStderr(text) {
    if (starting) writeSync(2, `${text}\n`)
    return false
  },
}).catch((error: Error) => {
  // Without the stack: it quotes the bundled engine, one line of 100 KB.
  writeSync(2, `${error.message}\n`)
  process.exit(1)
})
starting = false
if (values['init-only']) {
  await db.close()
  process.exit(0)
}
const server = await startPgServer({
  db,
  host: '127.0.0.1',
  port: Number(values.port),
  maxConnections: Number(values['max-connections']),
  onFatal(answer) {
    writeSync(2, `the engine has ended: ${answer.toString('latin1').replaceAll('\0', ' ')}\n`)
    process.exit(1)
  },
  idleInTransactionMs: Number(values['idle-in-transaction-ms']),
})

let stopping = false
async function stop() {
  if (stopping) return
  stopping = true
  await server.stop()
  // A checkpoint: the next start has no write-ahead log to replay.
  await db.close()
  process.exit(0)
}
process.on('SIGTERM', () => void stop())
process.stdin.on('end', () => void stop()).on('error', () => void stop())
process.stdin.resume()

process.stdout.write(`${JSON.stringify({ port: server.port })}\n`)
