import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'
import t from 'tap'
import { defaults, environmentNames, readConfig } from '../config.ts'
import { environmentOf, filled, inRoot, listeners, megabytes, own, services, stages, text } from '../testing/compose.ts'

const kafka = environmentOf(services['kafka']!)
/** As a container reads it: the mounted file is not here. */
const inContainer = ({ OPENAI_API_KEY_FILE: _, ...environment }: Record<string, string>) => environment

void t.test('every stage of the topology is a service that runs it, and waits for the migrations', async (t) => {
  for (const [stage, service] of stages) {
    t.strictSame(service.command, ['run', stage])
    t.equal(service.depends_on?.['migrate']?.condition, 'service_completed_successfully', stage)
  }
})

void t.test('every variable given to sluice is one that it reads', async (t) => {
  const known = [...environmentNames, ...environmentNames.map((name) => `${name}_FILE`)]
  const unknown = (names: readonly string[]) => names.filter((name) => !known.includes(name))
  for (const [name, { environment = {} }] of own) t.strictSame(unknown(Object.keys(environment)), [], name)
  const image = /^ENV (?:.*\\\n)*.*$/m.exec(text('ops/docker/Dockerfile'))![0]
  const set = [...image.matchAll(/(\w+)=/g)].map(([, name]) => name!)
  t.strictSame(unknown(set), ['NODE_ENV'])
  t.ok(set.includes('SLUICE_DATA_DIR') && set.includes('ADMIN_PORT'))
})

void t.test('what the stages are given is valid and points at the services beside them', async (t) => {
  for (const [stage, service] of stages) {
    const { kafka: broker, registry, postgres } = readConfig(inContainer(environmentOf(service)))
    t.strictSame(broker.brokers, [listeners(kafka['KAFKA_ADVERTISED_LISTENERS']!)['INSIDE']], stage)
    t.equal(new URL(registry.url!).host, 'registry:8080', stage)
    const database = new URL(postgres.url!)
    const { POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB } = environmentOf(services['postgres']!)
    t.equal(database.host, 'postgres:5432', stage)
    t.strictSame(
      [database.username, database.password, database.pathname],
      [POSTGRES_USER, POSTGRES_PASSWORD, `/${POSTGRES_DB}`],
    )
  }
  t.strictSame(services['migrate']?.environment, services['chunker']?.environment, 'the migrations see the same')
})

void t.test('the admin port that stages listen on is the one that is probed and published, with a token', async (t) => {
  const dockerfile = text('ops/docker/Dockerfile')
  const [, port] = /ADMIN_PORT=(\d+)/.exec(dockerfile)!
  t.match(dockerfile, new RegExp(`^EXPOSE ${port}$`, 'm'))
  t.match(dockerfile, "'http://127.0.0.1:' + process.env.ADMIN_PORT + '/healthz'")
  t.match(text('ops/admin.ts'), "'/healthz'")
  for (const [stage, service] of stages) {
    const { admin } = readConfig(inContainer(environmentOf(service)))
    t.match(admin, { host: '0.0.0.0', port: Number(port) }, stage)
    t.ok(admin.token, stage)
  }
  t.match(filled(services['crawler']!.ports![0]), new RegExp(`:${port}$`))
})

void t.test('a stage is given more time to stop than it takes to drain, and to close what it used', async (t) => {
  for (const [stage, { stop_grace_period }] of stages) {
    t.match(stop_grace_period, /^\d+s$/, stage)
    t.ok(parseInt(stop_grace_period!) * 1000 >= defaults.runtime.drainTimeoutMs + 10_000, stage)
  }
})

void t.test('the processor has the memory that its workers may take', async (t) => {
  const mostWorkers = 4
  t.ok(defaults.processor.workers <= mostWorkers)
  const needed = mostWorkers * defaults.processor.workerMemoryMb + 512
  t.ok(megabytes(services['processor']!.mem_limit!) >= needed, `${needed} MB`)
})

void t.test('the scripts and commands that services start with exist', async (t) => {
  const help = (...args: string[]) =>
    promisify(execFile)(process.execPath, [inRoot('ops/bin/sluice.mjs'), ...args, '--help'])
  for (const [, { entrypoint }] of stages) t.ok(existsSync(inRoot(entrypoint![1]!.replace('/app/', ''))))
  const migrate = services['migrate']!.command!.join('\n')
  const steps = [...migrate.matchAll(/offline-embeddings\.sh (.+)$/gm)].map(([, step]) => step!)
  t.strictSame(steps, ['migrate up', 'topics apply'])
  for (const step of [...steps, 'run']) {
    const { stdout } = await help(...step.split(' '))
    t.match(stdout, `Usage: sluice ${step}`)
  }
})

void t.test(
  'the offline embeddings server starts as its service says, answers its health check, ends at SIGTERM',
  async (t) => {
    const { entrypoint, healthcheck } = services['embeddings']!
    const [, script, port] = entrypoint!
    // Without a terminal or a pipe behind it, as in a container.
    const server = spawn(process.execPath, [inRoot(script!.replace('/app/', '')), '0'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    t.teardown(() => server.kill('SIGKILL'))
    const [line] = (await once(server.stdout, 'data')) as [Buffer]
    const listening = (JSON.parse(line.toString()) as { port: number }).port
    const [kind, , ...ask] = healthcheck!.test!
    t.equal(kind, 'CMD')
    const here = ask.map((word) => word.replace(`:${port}/`, `:${listening}/`))
    await t.resolves(promisify(execFile)(process.execPath, here))
    server.kill('SIGTERM')
    const [code] = (await once(server, 'exit')) as [number]
    t.equal(code, 0)
    await t.rejects(promisify(execFile)(process.execPath, here), { code: 1 })
  },
)

void t.test('embeddings come from the offline server exactly while nothing else is named', async (t) => {
  // Stands in for node and prints what it was started with.
  const folder = t.testdir({ node: '#!/bin/sh\necho "$@"; env\n', key: 'from a file\n', none: '' })
  await promisify(execFile)('chmod', ['+x', `${folder}/node`])
  const start = async (given: Record<string, string>) => {
    const unset = {
      OPENAI_API_KEY: '',
      OPENAI_API_KEY_FILE: `${folder}/none`,
      OPENAI_BASE_URL: '',
      EMBEDDING_MODEL: '',
    }
    const env = { PATH: `${folder}:${process.env['PATH']}`, ...unset, ...given }
    const script = inRoot('ops/docker/offline-embeddings.sh')
    const { stdout } = await promisify(execFile)('/bin/sh', [script, 'run', 'chunker'], { env })
    const [started, ...lines] = stdout.split('\n')
    t.match(started, /\/bin\/sluice\.mjs run chunker$/)
    return readConfig(Object.fromEntries(lines.map((line) => line.split('=', 2) as [string, string]))).embeddings
  }
  const { model, dimensions } = readConfig({}).embeddings
  const port = services['embeddings']!.entrypoint![2]
  t.match(await start({}), { baseUrl: `http://embeddings:${port}/v1`, model, dimensions, embedded: false })
  t.match(await start({ EMBEDDING_DIMENSIONS: '256' }), { model, dimensions: 256 })

  const hosted = readConfig({ OPENAI_API_KEY: 'key' }).embeddings
  t.strictSame(await start({ OPENAI_API_KEY: 'key' }), hosted, 'a key alone means the hosted model')
  t.strictSame(
    await start({ OPENAI_API_KEY_FILE: `${folder}/key` }),
    { ...hosted, apiKey: 'from a file' },
    'so does a file that holds one',
  )
  const other = { OPENAI_BASE_URL: 'http://inference.example/v1', EMBEDDING_MODEL: 'other' }
  t.strictSame(await start(other), readConfig(other).embeddings)
})
