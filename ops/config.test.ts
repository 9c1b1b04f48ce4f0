import { join } from 'node:path'
import t from 'tap'
import { environmentNames, isDebugging, readConfig } from './config.ts'

const problems = (env: Record<string, string>) => {
  try {
    readConfig(env)
    return ''
  } catch (error) {
    t.match(error, { name: 'UserError', exitCode: 2 })
    return (error as Error).message
  }
}

t.test('without an environment everything is embedded and nothing beyond loopback', async (t) => {
  const config = readConfig({})
  t.match(config, {
    kafka: { brokers: undefined, ssl: false, sasl: undefined },
    registry: { url: undefined },
    postgres: { url: undefined },
    embeddings: { embedded: true, dimensions: 512 },
    admin: { host: '127.0.0.1', port: 0, token: undefined },
    crawler: { allowHosts: [] },
  })
})

t.test('every problem is named at once, by its variable', async (t) => {
  const said = problems({
    KAFKA_BROKERS: 'no-port',
    DATABASE_URL: 'mysql://x/',
    EMBEDDING_DIMENSIONS: '-3',
    ADMIN_PORT: '70000',
    LOG_LEVEL: 'loud',
    OPENAI_API_KEY_FILE: '/does/not/exist',
  })
  for (const name of [
    'KAFKA_BROKERS',
    'DATABASE_URL',
    'EMBEDDING_DIMENSIONS',
    'ADMIN_PORT',
    'LOG_LEVEL',
    'OPENAI_API_KEY_FILE',
  ])
    t.match(said, name)
  t.match(said, '6 problem')
})

t.test('numbers that are none are refused', async (t) => {
  for (const value of ['abc', '0', '1.5', '-1', 'NaN', 'Infinity'])
    t.match(problems({ EMBEDDING_DIMENSIONS: value }), 'EMBEDDING_DIMENSIONS', value)
})

t.test('settings that need each other are refused alone', async (t) => {
  t.match(problems({ KAFKA_SASL_MECHANISM: 'plain', KAFKA_USERNAME: 'u' }), 'KAFKA_PASSWORD')
  t.match(problems({ ADMIN_HOST: '0.0.0.0' }), 'ADMIN_TOKEN')
  t.match(problems({ ADMIN_HOST: '0.0.0.0', ADMIN_TOKEN: 'short' }), '16 characters')
  t.equal(problems({ ADMIN_HOST: '127.0.0.1' }), '')
  t.equal(problems({ ADMIN_HOST: '0.0.0.0', ADMIN_TOKEN: 'sixteen-or-more-characters' }), '')
})

t.test('an empty variable is one that is not set', async (t) => {
  t.equal(readConfig({ DATABASE_URL: '', KAFKA_BROKERS: '' }).postgres.url, undefined)
})

t.test('secrets may stand in files; the variable itself wins', async (t) => {
  const dir = t.testdir({ secret: 'from-the-file\n' })
  const file = join(dir, 'secret')
  t.equal(readConfig({ OPENAI_API_KEY_FILE: file }).embeddings.apiKey, 'from-the-file')
  t.equal(readConfig({ OPENAI_API_KEY_FILE: file, OPENAI_API_KEY: 'direct' }).embeddings.apiKey, 'direct')
})

t.test('a key or a base URL alone turns the hosted model on', async (t) => {
  t.match(readConfig({ OPENAI_API_KEY: 'k' }).embeddings, { embedded: false, dimensions: 1536 })
  t.match(readConfig({ OPENAI_BASE_URL: 'http://127.0.0.1:1/v1' }).embeddings, { embedded: false })
})

t.test('a message about a secret does not hold it', async (t) => {
  t.notMatch(problems({ ADMIN_TOKEN: 'hunter2', LOG_LEVEL: 'loud' }), 'hunter2')
  t.notMatch(problems({ DATABASE_URL: 'user:hunter2@host' }), 'hunter2')
})

t.test('hosts to allow are read as a list, in lower case', async (t) => {
  t.same(readConfig({ CRAWL_ALLOW_HOSTS: ' Localhost:8080, ,127.0.0.1 ' }).crawler.allowHosts, [
    'localhost:8080',
    '127.0.0.1',
  ])
})

t.test('names that the admin port answers to are listed without ports', async (t) => {
  t.strictSame(readConfig({ ADMIN_ALLOWED_HOSTS: 'Console.example, ops.internal' }).admin.allowedHosts, [
    'console.example',
    'ops.internal',
  ])
  t.match(problems({ ADMIN_ALLOWED_HOSTS: 'console.example:8443' }), 'without ports')
})

t.test('the level is readable even when the rest is not valid', async (t) => {
  t.ok(isDebugging({ LOG_LEVEL: 'debug', DATABASE_URL: 'x' }))
  t.notOk(isDebugging({ LOG_LEVEL: 'info' }))
  t.ok(environmentNames.includes('CRAWL_ALLOW_HOSTS'))
})
