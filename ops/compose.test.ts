import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { parse } from 'yaml'
import { stageNames } from '../streams/topology.ts'
import { defaults, readConfig } from './config.ts'

interface Service {
  readonly image: string
  readonly entrypoint?: readonly string[]
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string | number>>
  readonly depends_on?: Readonly<Record<string, { condition: string }>>
  readonly healthcheck?: { readonly test: readonly string[] }
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
  readonly stop_grace_period?: string
  readonly restart?: string
}

const root = join(import.meta.dirname, '..')
const text = (path: string) => readFileSync(join(root, path), 'utf8')
const yaml = (path: string) => parse(text(path), { merge: true }) as Record<string, unknown>
const compose = yaml('docker-compose.yml')
const services = compose['services'] as Record<string, Service>
const dockerfile = text('ops/docker/Dockerfile')
const stages = stageNames.map((stage) => [stage, services[stage]!] as const)

/** What compose puts in for ${NAME:-default}, `given` being the shell's variables. */
const filled = (value: unknown, given: Record<string, string> = {}) =>
  String(value).replaceAll(/\$\{(\w+):-([^}]*)\}/g, (_, name: string, fallback: string) => given[name] || fallback)
const environmentOf = (service: Service) =>
  Object.fromEntries(Object.entries(service.environment ?? {}).map(([name, value]) => [name, filled(value)]))
const kafka = environmentOf(services['kafka']!)
const listeners = (setting: string) =>
  Object.fromEntries(setting.split(',').map((listener) => listener.split('://') as [string, string])) as Record<
    string,
    string
  >

void t.test('every stage of the topology is a service that runs it, and waits for the migrations', async (t) => {
  for (const [stage, service] of stages) {
    t.strictSame(service.command, ['run', stage])
    t.equal(service.depends_on?.['migrate']?.condition, 'service_completed_successfully', stage)
    t.equal(service.restart, 'unless-stopped', stage)
    t.equal(service.ports, undefined, `${stage} publishes no port, so that it can be scaled`)
  }
})

void t.test('a service starts only after everything that it talks to is well', async (t) => {
  for (const [name, service] of Object.entries(services))
    for (const [needed, { condition }] of Object.entries(service.depends_on ?? {})) {
      t.ok(services[needed], `${name} → ${needed}`)
      t.equal(
        condition,
        needed === 'migrate' ? 'service_completed_successfully' : 'service_healthy',
        `${name} → ${needed}`,
      )
    }
})

void t.test('every service but the one-shot has a health check', async (t) => {
  const without = Object.keys(services).filter((name) => !services[name]?.healthcheck?.test.length)
  t.strictSame(without, ['migrate'])
})

void t.test('every variable given to sluice is one that it reads', async (t) => {
  const known = [...text('ops/config.ts').matchAll(/^ {2}([A-Z][A-Z0-9_]+): /gm)].map(([, name]) => name)
  t.ok(known.length > 20)
  for (const [stage, { environment = {} }] of stages)
    t.strictSame(
      Object.keys(environment).filter((name) => !known.includes(name)),
      [],
      stage,
    )
  const image = [...dockerfile.matchAll(/^\s*(?:ENV )?(SLUICE_\w+)=/gm)].map(([, name]) => name)
  t.strictSame(
    image.filter((name) => !known.includes(name)),
    [],
    'Dockerfile',
  )
  t.ok(image.length > 0)
})

void t.test('what the stages are given is valid and points at the services beside them', async (t) => {
  for (const [stage, service] of stages) {
    const { kafka: broker, registry, postgres, admin } = readConfig(environmentOf(service))
    t.strictSame(broker.brokers, [listeners(kafka['KAFKA_ADVERTISED_LISTENERS']!)['INSIDE']], stage)
    t.equal(new URL(registry.url!).host, 'registry:8080', stage)
    const database = new URL(postgres.url!)
    const { POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB } = environmentOf(services['postgres']!)
    t.equal(database.host, 'postgres:5432', stage)
    t.strictSame(
      [database.username, database.password, database.pathname],
      [POSTGRES_USER, POSTGRES_PASSWORD, `/${POSTGRES_DB}`],
    )
    t.match(service.healthcheck!.test.join(' '), `127.0.0.1:${admin.port}/healthz`, stage)
  }
  t.strictSame(
    services['migrate']?.environment,
    services['chunker']?.environment,
    'the migrations see the same settings',
  )
})

void t.test('a stage is given more time to stop than it takes to drain', async (t) => {
  for (const [stage, { stop_grace_period }] of stages) {
    t.match(stop_grace_period, /^\d+s$/, stage)
    t.ok(parseInt(stop_grace_period!) * 1000 >= defaults.runtime.drainTimeoutMs + 5_000, stage)
  }
})

void t.test('no service is reached from beyond this machine', async (t) => {
  const published = Object.values(services).flatMap(({ ports = [] }) => ports)
  t.equal(published.length, 4)
  for (const port of published) t.match(filled(port), /^127\.0\.0\.1:\d+:\d+$/)
  t.equal(new Set(published.map((port) => filled(port).split(':')[1])).size, published.length, 'no port twice')
})

void t.test('Kafka sends clients on this machine to the port that is published, whichever that is', async (t) => {
  for (const given of [{}, { KAFKA_PORT: '19999' }] as Record<string, string>[]) {
    const advertised = filled(services['kafka']!.environment!['KAFKA_ADVERTISED_LISTENERS'], given)
    const [published] = services['kafka']!.ports!.map((port) => filled(port, given))
    const listens = listeners(kafka['KAFKA_LISTENERS']!)['HOST']
    t.equal(`${listeners(advertised)['HOST']}${listens}`, published)
  }
})

void t.test('Kafka creates no topic by mistake and keeps its log on its volume', async (t) => {
  t.equal(kafka['KAFKA_AUTO_CREATE_TOPICS_ENABLE'], 'false')
  t.strictSame(services['kafka']?.volumes, [`kafka:${kafka['KAFKA_LOG_DIRS']}`])
  t.equal(Buffer.from(kafka['CLUSTER_ID']!, 'base64url').length, 16, 'a cluster id is 16 bytes')
})

void t.test('Kafka UI reads the broker and the registry that the stages use', async (t) => {
  const ui = services['kafka-ui']!
  const mounted = ui.volumes![0]!.split(':')
  t.equal(mounted[1], ui.environment!['SPRING_CONFIG_ADDITIONAL_LOCATION'])
  const { clusters } = yaml(mounted[0]!)['kafka'] as { clusters: Record<string, unknown>[] }
  const { KAFKA_BROKERS, SCHEMA_REGISTRY_URL } = environmentOf(services['processor']!)
  t.match(clusters, [
    { bootstrapServers: KAFKA_BROKERS, schemaRegistry: SCHEMA_REGISTRY_URL, defaultValueSerde: 'SchemaRegistry' },
  ])
  t.equal(clusters.length, 1)
})

void t.test('the registry keeps its schemas in a database that Postgres creates', async (t) => {
  const url = String(services['registry']!.environment!['REGISTRY_DATASOURCE_URL'])
  const [, database] = /^jdbc:postgresql:\/\/postgres:5432\/(\w+)$/.exec(url)!
  t.match(text('ops/docker/registry-database.sql'), `CREATE DATABASE ${database};`)
  t.ok(services['postgres']!.volumes!.some((volume) => volume.includes(':/docker-entrypoint-initdb.d/')))
  // While the image runs that script, Postgres is on its socket only: asked over TCP, it is not well before it is done.
  t.match(services['postgres']!.healthcheck!.test.join(' '), '-h 127.0.0.1')
})

void t.test('volumes are declared, and files mounted from here exist', async (t) => {
  const mounts = Object.values(services).flatMap(({ volumes = [] }) => volumes.map((volume) => volume.split(':')[0]!))
  t.strictSame(mounts.filter((from) => !from.startsWith('./')).sort(), Object.keys(compose['volumes'] as object).sort())
  for (const from of mounts.filter((from) => from.startsWith('./'))) t.ok(existsSync(join(root, from)), from)
})

void t.test('every image is pinned to a version', async (t) => {
  const images = Object.values(services).map(({ image }) => image)
  const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image!)
  t.equal(bases.length, 2)
  t.equal(new Set(bases).size, 1, 'what is installed runs on what it was installed with')
  for (const image of [...images, ...bases]) t.match(image, /:v?\d+\.\d+\.\d+[\w.-]*$/, image)
})

void t.test('the image runs the Node that the project is developed with', async (t) => {
  const [, major] = /^FROM node:(\d+)\./m.exec(dockerfile)!
  const { devDependencies } = JSON.parse(text('package.json')) as { devDependencies: { node: string } }
  t.match(devDependencies.node, `^${major}.`)
})

void t.test('no secret stands in the file', async (t) => {
  const secret = /password|secret|token|key$/i
  for (const [name, { environment = {} }] of Object.entries(services))
    for (const [variable, value] of Object.entries(environment))
      if (secret.test(variable) && !variable.endsWith('_PER_MINUTE'))
        t.match(String(value), /^\$\{\w+:-(sluice)?\}$/, `${name}: ${variable}`)
})

void t.test('the image holds the code and its dependencies, not the tools, and does not run as root', async (t) => {
  t.match(dockerfile, /npm ci --ignore-scripts --omit=dev\b/)
  t.match(dockerfile, /^USER [1-9]\d*:[1-9]\d*$/m)
  t.ok(dockerfile.indexOf('\nUSER ') < dockerfile.indexOf('\nENTRYPOINT '))
  const [, entrypoint] = /^ENTRYPOINT \["node", "\/app\/(.+)"\]$/m.exec(dockerfile)!
  const { bin } = JSON.parse(text('package.json')) as { bin: { sluice: string } }
  t.equal(entrypoint, bin.sluice)
  const copied = [...dockerfile.matchAll(/^COPY (?!--)(.+) \S+$/gm)].flatMap(([, from]) => from!.split(' '))
  for (const folder of ['streams', 'schemas', 'connectors', 'migrations', 'ops']) t.ok(copied.includes(folder), folder)
  const sent = text('.dockerignore').split('\n')
  t.equal(
    sent.find((line) => line !== '' && !line.startsWith('#')),
    '*',
    'nothing is sent to the builder unless named',
  )
  for (const from of copied) {
    t.ok(existsSync(join(root, from)), from)
    t.ok(sent.includes(`!${from}`), `.dockerignore lets ${from} through`)
  }
})

void t.test('the scripts and commands that services start with exist', async (t) => {
  const help = (...args: string[]) =>
    promisify(execFile)(process.execPath, [join(root, 'ops/bin/sluice.mjs'), ...args, '--help'])
  for (const [, { entrypoint }] of stages) t.ok(existsSync(join(root, entrypoint![1]!.replace('/app/', ''))))
  t.ok(existsSync(join(root, services['embeddings']!.entrypoint![1]!)))
  const steps = [...services['migrate']!.command!.join('\n').matchAll(/offline-embeddings\.sh (.+)$/gm)].map(
    ([, step]) => step!,
  )
  t.strictSame(steps, ['migrate up', 'topics apply'])
  for (const step of [...steps, 'run']) {
    const { stdout } = await help(...step.split(' '))
    t.match(stdout, `Usage: sluice ${step}`)
  }
})

void t.test('embeddings come from the offline server exactly while nothing else is named', async (t) => {
  // Stands in for node and prints what it was started with.
  const bin = t.testdir({ node: '#!/bin/sh\necho "$@"; env\n' })
  await promisify(execFile)('chmod', ['+x', join(bin, 'node')])
  const start = async (given: Record<string, string>) => {
    const env = {
      PATH: `${bin}:${process.env['PATH']}`,
      OPENAI_API_KEY: '',
      OPENAI_BASE_URL: '',
      EMBEDDING_MODEL: '',
      ...given,
    }
    const script = join(root, 'ops/docker/offline-embeddings.sh')
    const { stdout } = await promisify(execFile)('/bin/sh', [script, 'run', 'chunker'], { env })
    const [started, ...lines] = stdout.split('\n')
    t.match(started, /\/bin\/sluice\.mjs run chunker$/)
    return readConfig(Object.fromEntries(lines.map((line) => line.split('=', 2) as [string, string]))).embeddings
  }
  const { model, dimensions } = readConfig({}).embeddings
  const port = services['embeddings']!.entrypoint![3]
  t.match(await start({}), { baseUrl: `http://embeddings:${port}/v1`, model, dimensions, embedded: false })
  t.match(await start({ EMBEDDING_DIMENSIONS: '256' }), { model, dimensions: 256 })

  const hosted = readConfig({ OPENAI_API_KEY: 'key' }).embeddings
  t.strictSame(await start({ OPENAI_API_KEY: 'key' }), hosted, 'a key alone means the hosted model')
  const other = { OPENAI_BASE_URL: 'http://inference.example/v1', EMBEDDING_MODEL: 'other' }
  t.strictSame(await start(other), readConfig(other).embeddings)
})
