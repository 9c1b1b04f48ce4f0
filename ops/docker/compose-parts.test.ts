import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { environmentOf, filled, inRoot, listeners, services, text, yaml } from '../testing/compose.ts'
import { topology } from '../../streams/topology.ts'

const kafka = environmentOf(services['kafka']!)
/** From the container's path to the one here. */
const mounted = (name: string) =>
  Object.fromEntries(
    services[name]!.volumes!.map((volume) => volume.split(':')).map(([from, to]) => [to!, from!]),
  ) as Readonly<Record<string, string>>

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

void t.test('Kafka UI reads the broker and the registry that the stages use, and hides no group', async (t) => {
  const path = services['kafka-ui']!.environment!['SPRING_CONFIG_ADDITIONAL_LOCATION'] as string
  const { clusters } = yaml(mounted('kafka-ui')[path]!)['kafka'] as { clusters: Record<string, unknown>[] }
  const { KAFKA_BROKERS, SCHEMA_REGISTRY_URL } = environmentOf(services['processor']!)
  t.match(clusters, [
    { bootstrapServers: KAFKA_BROKERS, schemaRegistry: SCHEMA_REGISTRY_URL, defaultValueSerde: 'SchemaRegistry' },
  ])
  t.equal(clusters.length, 1)
  // Each group is listed with its lag; the comment that says so names them.
  const [, comment] = /((?: {2}#.*\n)+) {2}kafka-ui:/.exec(text('docker-compose.yml'))!
  for (const { group } of Object.values(topology)) t.match(comment, group)
})

void t.test('the registry keeps its schemas in a database that Postgres creates', async (t) => {
  const url = String(services['registry']!.environment!['REGISTRY_DATASOURCE_URL'])
  const [, database] = /^jdbc:postgresql:\/\/postgres:5432\/(\w+)$/.exec(url)!
  t.match(text('ops/docker/registry-database.sql'), `CREATE DATABASE ${database};`)
  t.ok(services['postgres']!.volumes!.some((volume) => volume.includes(':/docker-entrypoint-initdb.d/')))
  // While the image runs that script, Postgres is on its socket only: asked over TCP, it is not well before it is done.
  t.match(services['postgres']!.healthcheck!.test!.join(' '), '-h 127.0.0.1')
})

void t.test('Prometheus and Grafana start on request only', async (t) => {
  const onRequest = Object.keys(services).filter((name) => services[name]!.profiles)
  t.strictSame(onRequest.sort(), ['grafana', 'prometheus'])
  for (const name of onRequest) t.strictSame(services[name]!.profiles, ['monitoring'])
})

interface ScrapeConfig {
  readonly dns_sd_configs?: readonly { readonly names: readonly string[]; readonly port: number }[]
  readonly static_configs?: readonly { readonly targets: readonly string[] }[]
  readonly authorization?: { readonly credentials_file?: string }
}

void t.test('Prometheus scrapes every stage at its admin port, with the token that the stages ask for', async (t) => {
  const { environment, command } = services['prometheus']!
  const [, path] = /--config\.file=(\S+)/.exec(command!.join(' '))!
  const { scrape_configs, rule_files } = yaml(mounted('prometheus')[path!]!) as {
    scrape_configs: readonly ScrapeConfig[]
    rule_files: readonly string[]
  }
  const targets = scrape_configs.flatMap(({ dns_sd_configs = [], static_configs = [] }) => [
    ...dns_sd_configs.flatMap(({ names, port }) => names.map((name) => `${name}:${port}`)),
    ...static_configs.flatMap(({ targets }) => targets),
  ])
  for (const stage of Object.keys(topology)) {
    const { ADMIN_PORT, ADMIN_TOKEN } = environmentOf(services[stage]!)
    t.ok(targets.includes(`${stage}:${ADMIN_PORT}`), stage)
    t.equal(filled(environment!['ADMIN_TOKEN']), ADMIN_TOKEN, stage)
  }
  const [, written] = /printf %s "\$\$ADMIN_TOKEN" > (\S+)/.exec(command!.join('\n'))!
  for (const { authorization } of scrape_configs) t.equal(authorization?.credentials_file, written)
  for (const file of rule_files)
    t.ok(mounted('prometheus')[join('/etc/prometheus', file)] ?? mounted('prometheus')[file], file)
})

void t.test('Grafana finds its data source and its dashboards where its provisioning says', async (t) => {
  const provisioning = mounted('grafana')['/etc/grafana/provisioning']!
  const read = (folder: string) =>
    readdirSync(inRoot(join(provisioning, folder))).map((file) => yaml(join(provisioning, folder, file)))
  const sources = read('datasources').flatMap(({ datasources }) => datasources as { type: string; url: string }[])
  t.match(sources, [{ type: 'prometheus', url: 'http://prometheus:9090' }])
  const providers = read('dashboards').flatMap(({ providers }) => providers as { options: { path: string } }[])
  t.equal(providers.length, 1)
  const folder = mounted('grafana')[providers[0]!.options.path]
  t.ok(folder, `${providers[0]!.options.path} is mounted`)
  t.ok(existsSync(inRoot(join(folder ?? '', 'sluice.json'))))
})
