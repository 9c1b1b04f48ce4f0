/** Errors that are to be expected, each really brought about with the command in a process of its own. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { GONE } from '../testing/examine.ts'
import { createWorld } from '../testing/world.ts'

t.setTimeout(180_000)
const world = await createWorld()
t.teardown(world.close)
const cli = join(import.meta.dirname, '..', 'bin', 'sluice.mjs')

interface Case {
  readonly args: string
  readonly env?: Record<string, string>
  readonly says: RegExp
  readonly code?: number
}

async function sluice(args: string, env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [cli, ...args.split(' ')], {
    env: { SLUICE_DATA_DIR: t.testdirName, ...world.variables, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { stdout, stderr, code: code as number | null }
}

/** A listener that lets nobody in, in the words of Postgres. */
const refusing = createServer((socket) => {
  socket.on('error', () => {})
  socket.once('data', () => {
    const fields = 'SFATAL\0C28P01\0Mpassword authentication failed for user "u"\0\0'
    const head = Buffer.from('E\0\0\0\0')
    head.writeInt32BE(fields.length + 4, 1)
    socket.end(Buffer.concat([head, Buffer.from(fields)]))
  })
}).listen(0, '127.0.0.1')
await once(refusing, 'listening')
t.teardown(() => refusing.close())
const { port } = refusing.address() as AddressInfo

const elsewhere = { SLUICE_TOPIC_PREFIX: 'not-there.' }
const cases: Record<string, Case> = {
  'the broker is away': {
    args: 'crawl --tenant a https://e.com/',
    env: { KAFKA_BROKERS: GONE },
    says: /no Kafka broker answers \(127\.0\.0\.1:1: ECONNREFUSED\)\n.*KAFKA_BROKERS/,
  },
  'the registry is away': {
    args: 'crawl --tenant a https://e.com/',
    env: { SCHEMA_REGISTRY_URL: `http://${GONE}` },
    says: /schema registry: .*\n.*SCHEMA_REGISTRY_URL/,
  },
  'the database is away': {
    args: 'migrate status',
    env: { DATABASE_URL: `postgres://u:secret-word@${GONE}/x` },
    says: /Postgres: .*ECONNREFUSED.*\n.*DATABASE_URL/,
  },
  'the password is wrong': {
    args: 'migrate status',
    env: { DATABASE_URL: `postgres://u:secret-word@127.0.0.1:${port}/x` },
    says: /password authentication failed.*\n.*DATABASE_URL/,
  },
  'the embeddings API is away': {
    args: 'search --tenant a question',
    env: { OPENAI_BASE_URL: `http://${GONE}/v1`, OPENAI_API_KEY: 'secret-word' },
    says: /embeddings: .*\n.*OPENAI_BASE_URL/,
  },
  'topics are missing, for a stage': {
    args: 'run processor',
    env: elsewhere,
    says: /not-there\.pages\.crawled.*\n.*sluice topics apply/,
  },
  'topics are missing, for a command': {
    args: 'pause',
    env: elsewhere,
    says: /not-there\.pipeline\.control\n.*sluice topics apply/,
  },
  'topics are missing, for a crawl': {
    args: 'crawl --tenant a https://e.com/',
    env: elsewhere,
    says: /not-there\.crawl\.requests\n.*sluice topics apply/,
  },
  'the port is taken': {
    args: 'run processor',
    env: { ADMIN_PORT: String(port) },
    says: /cannot listen on 127\.0\.0\.1:\d+ \(EADDRINUSE\)\n.*ADMIN_PORT/,
  },
  'a URL is none': {
    args: 'crawl --tenant a example.com',
    says: /not an http\(s\) URL.*example\.com\n.*https:/s,
    code: 2,
  },
  'variables are wrong, all of them named': {
    args: 'doctor',
    env: { DATABASE_URL: 'mysql://x', LOG_LEVEL: 'loud', ADMIN_PORT: '99999' },
    says: /3 problem\(s\):\n.*DATABASE_URL[^]*ADMIN_PORT[^]*LOG_LEVEL[^]*\n {2}Correct/,
    code: 2,
  },
}

for (const [name, { args, env, says, code = 1 }] of Object.entries(cases))
  t.test(`${name}: told with what to do, without a stack, nothing on stdout`, async (t) => {
    const run = await sluice(`${args} --json`, env)
    t.match(run, { code, stdout: /^$/, stderr: says })
    t.notMatch(run.stderr, /^\s+at .+:\d+:\d+\)?$/m)
    t.notMatch(run.stderr, 'secret-word')
  })

t.test('with LOG_LEVEL=debug the stack is there for whoever looks for the cause', async (t) => {
  const env = { DATABASE_URL: `postgres://u:p@${GONE}/x`, LOG_LEVEL: 'debug' }
  t.match((await sluice('migrate status', env)).stderr, /^\s+at .+:\d+:\d+\)?$/m)
})

t.test('colours: none into a pipe, some where FORCE_COLOR says so, never in NDJSON', async (t) => {
  const escape = '\u001b['
  const well = { KAFKA_BROKERS: GONE }
  for (const args of ['--help', 'doctor']) {
    t.notMatch((await sluice(args, well)).stdout, escape, args)
    t.match((await sluice(args, { ...well, FORCE_COLOR: '1' })).stdout, escape, `${args} with FORCE_COLOR`)
  }
  t.notMatch((await sluice('doctor --json', { ...well, FORCE_COLOR: '1' })).stdout, escape)
})

t.test('Ctrl-C ends what was cut short as every shell expects: by the signal, 130', async (t) => {
  const child = spawn(process.execPath, [cli, 'crawl', '--tenant', 'a', 'https://e.com/', '--wait'], {
    env: { SLUICE_DATA_DIR: t.testdirName, ...world.variables },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  // It has asked for the crawl by now, and no crawler runs.
  await once(child.stderr, 'data')
  child.kill('SIGINT')
  const [code, signal] = await once(child, 'close')
  t.ok(code === 130 || signal === 'SIGINT', `${code} ${signal}`)
})
