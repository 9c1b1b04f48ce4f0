import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { readConfig } from './config.ts'
import { createLogger, secretsOf, stageLogger } from './logger.ts'

const secrets = {
  DATABASE_URL: 'postgres://sluice:p%40ss-of-the-database@127.0.0.1:1/sluice',
  OPENAI_API_KEY: 'sk-key-of-the-embeddings',
  SCHEMA_REGISTRY_PASSWORD: 'pass-of-the-registry',
  KAFKA_PASSWORD: 'sasl"pass"of-the-broker',
  ADMIN_TOKEN: 'token-of-the-admin-port',
}
const environment = {
  ...secrets,
  KAFKA_BROKERS: '127.0.0.1:1',
  KAFKA_SASL_MECHANISM: 'plain',
  KAFKA_USERNAME: 'sluice',
  SCHEMA_REGISTRY_URL: 'http://127.0.0.1:1',
  SCHEMA_REGISTRY_USERNAME: 'sluice',
  OPENAI_BASE_URL: 'http://127.0.0.1:1/v1',
}
/** In each form in which they may come. */
const forms = [
  'p@ss-of-the-database',
  'p%40ss-of-the-database',
  'sk-key-of-the-embeddings',
  'pass-of-the-registry',
  'sasl"pass"of-the-broker',
  'sasl\\"pass\\"of-the-broker',
  'token-of-the-admin-port',
]

function capture(level = 'trace') {
  const lines: string[] = []
  const config = readConfig(environment)
  const logger = createLogger(
    level,
    { stages: 'chunker' },
    { secrets: secretsOf(config), destination: { write: (line) => void lines.push(line) } },
  )
  return { logger, lines, config }
}

t.test('no secret of the settings stands in a line, whatever quotes it', async (t) => {
  const { logger, lines, config } = capture()
  logger.info({ config }, 'all settings')
  logger.warn({ deep: { er: { still: { url: secrets.DATABASE_URL } } } }, `connecting to ${secrets.DATABASE_URL}`)
  logger.error({ error: new Error(`401 for Bearer ${secrets.ADMIN_TOKEN} and ${secrets.OPENAI_API_KEY}`) }, 'refused')
  logger.error({ list: [secrets.KAFKA_PASSWORD, 'p@ss-of-the-database'] }, secrets.SCHEMA_REGISTRY_PASSWORD)
  t.equal(lines.length, 4)
  for (const form of forms) t.notOk(lines.join('').includes(form), form)
  for (const line of lines) t.type(JSON.parse(line), 'object', 'and each line is JSON still')
})

t.test('fields with the names of secrets are taken out, though nobody told their values', async (t) => {
  const { logger, lines } = capture()
  logger.info({ password: 'abc', sasl: { password: 'def' }, options: { headers: { authorization: 'ghi' } } }, 'x')
  t.match(JSON.parse(lines[0]!), { password: '[redacted]', sasl: '[redacted]' })
  t.notMatch(lines[0], /abc|def|ghi/)
})

t.test('a password that is a common word is left alone: its lines would be unreadable', async (t) => {
  t.strictSame(secretsOf(readConfig({ DATABASE_URL: 'postgres://postgres:postgres@127.0.0.1:1/postgres' })), [])
})

t.test('lines of a stage name it; offsets are texts, errors have their stack', async (t) => {
  const { logger, lines } = capture()
  stageLogger(logger, 'chunker').warn(
    { tenant: 'acme', topic: 'pages.processed', partition: 3, offset: 12n, error: new Error('no') },
    'record failed',
  )
  t.match(JSON.parse(lines[0]!), {
    ...{ level: 40, stage: 'chunker', tenant: 'acme', topic: 'pages.processed', partition: 3, offset: '12' },
    ...{ msg: 'record failed', error: { message: 'no', stack: /logger\.test/ } },
  })
  t.notMatch(JSON.parse(lines[0]!), { trace_id: /./ }, 'nobody traces')
})

t.test('a stage that reaches nobody tells no secret, at the loudest level', async (t) => {
  const cli = join(import.meta.dirname, 'bin', 'sluice.mjs')
  const child = spawn(process.execPath, [cli, 'run', 'chunker'], {
    env: { PATH: process.env['PATH'], ...environment, LOG_LEVEL: 'trace' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [out, said, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  t.equal(code, 1)
  t.match(said, 'ECONNREFUSED')
  for (const form of forms) t.notOk((out + said).includes(form), form)
})
