import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { parse } from 'yaml'
import { environmentNames, readConfig } from '../config.ts'
import { inRoot, text } from '../testing/compose.ts'
import { ofKind } from '../testing/kubernetes.ts'
import type { Deployment, Job, Manifest, Policy } from '../testing/kubernetes.ts'

const settings = ofKind('ConfigMap', 'base')[0]!
const example = ofKind('ConfigMap', 'overlays/example')[0]!
const pods = [...ofKind<Deployment>('Deployment'), ...ofKind<Job>('Job')].map(({ spec }) => spec.template.spec)
const secretFiles = (data: Readonly<Record<string, string>>) =>
  Object.entries(data).filter(([name]) => name.endsWith('_FILE'))
/** As a pod reads them; the files of the Secret are not here. */
const environment = (data: Readonly<Record<string, string>>) => ({
  ...Object.fromEntries(Object.entries(data).filter(([name]) => !name.endsWith('_FILE'))),
  ADMIN_TOKEN: 'x'.repeat(16),
})

void t.test('every setting is one that sluice reads, and all together are valid', async (t) => {
  for (const { data, file } of [settings, example]) {
    const names = Object.keys(data!).map((name) => name.replace(/_FILE$/, ''))
    t.strictSame(
      names.filter((name) => !environmentNames.includes(name)),
      [],
      file,
    )
  }
  t.equal(example.metadata.name, settings.metadata.name, 'the example changes these settings')
  t.equal(readConfig(environment({ ...settings.data, ...example.data })).admin.host, '0.0.0.0')
})

void t.test('secrets are files of one Secret, which no manifest holds', async (t) => {
  t.strictSame(ofKind('Secret'), [])
  const named = secretFiles(settings.data!)
  t.ok(named.length >= 3)
  for (const [name, path] of named) t.equal(path, `/run/secrets/sluice/${name.replace('_FILE', '')}`)
  for (const pod of pods) {
    t.ok(pod.volumes.some(({ name, secret }) => name === 'secrets' && secret?.secretName === 'sluice'))
    for (const container of [...(pod.initContainers ?? []), ...pod.containers]) {
      t.ok(
        container.volumeMounts.some(({ name, mountPath }) => name === 'secrets' && mountPath === '/run/secrets/sluice'),
      )
      t.strictSame(container.envFrom, [{ configMapRef: { name: settings.metadata.name } }])
    }
  }
  for (const { data } of [settings, example])
    for (const [name, value] of Object.entries(data!))
      if (/PASSWORD|TOKEN$|KEY$|DATABASE_URL$/.test(name)) t.fail(`${name}: ${value} is a secret in a manifest`)
})

void t.test('the port that is probed, scraped and let through is the one that is listened on', async (t) => {
  const port = Number(settings.data!['ADMIN_PORT'])
  const [service] = ofKind<Manifest<{ ports: { name: string; port: number }[] }>>('Service')
  t.match(service!.spec.ports, [{ port }])
  for (const { spec } of ofKind<Deployment>('Deployment'))
    t.match(spec.template.spec.containers[0]!.ports, [{ name: service!.spec.ports[0]!.name, containerPort: port }])
  const policies = ofKind<Policy>('NetworkPolicy')
  const reachable = policies.flatMap(({ spec }) =>
    (spec.ingress ?? []).flatMap(({ ports }) => ports.map((one) => one.port)),
  )
  t.strictSame(reachable, [port])
  const [monitor] = ofKind<Manifest<{ endpoints: object[] }>>('ServiceMonitor')
  t.match(monitor!.spec.endpoints, [
    {
      port: service!.spec.ports[0]!.name,
      path: '/metrics',
      authorization: { credentials: { name: 'sluice', key: 'ADMIN_TOKEN' } },
    },
  ])
})

void t.test('the network policies let through to every address of the settings', async (t) => {
  const { spec } = ofKind<Policy>('NetworkPolicy').find(({ metadata }) => metadata.name === 'sluice')!
  const open = spec.egress!.flatMap(({ ports }) => ports.map(({ port }) => port))
  for (const { data } of [settings, example]) {
    const { kafka, registry } = readConfig(environment(data!))
    for (const broker of kafka.brokers!) t.ok(open.includes(Number(broker.split(':')[1])), broker)
    t.ok(open.includes(Number(new URL(registry.url!).port)), registry.url!)
  }
  for (const port of [53, 5432, 4318]) t.ok(open.includes(port), `${port}`)
})

void t.test('the commands of the jobs are commands of sluice', async (t) => {
  const commands = ofKind<Job>('Job').flatMap(({ spec: { template } }) =>
    [...(template.spec.initContainers ?? []), ...template.spec.containers].map(({ args }) => args),
  )
  t.strictSame(
    commands.map((args) => args.join(' ')).filter((line) => !line.includes('replay')),
    ['migrate up', 'topics apply'],
  )
  for (const args of commands) {
    const words = args.filter((word) => !word.startsWith('--'))
    const known = words[0] === 'replay' ? words.slice(0, 1) : words
    const { stdout } = await promisify(execFile)(process.execPath, [inRoot('ops/bin/sluice.mjs'), ...known, '--help'])
    t.match(stdout, `Usage: sluice ${known.join(' ')}`)
    for (const option of args.filter((word) => word.startsWith('--') && word !== '--json')) t.match(stdout, option)
  }
})

void t.test('the alerts of the cluster are those that are tested', async (t) => {
  const [rule] = ofKind<Manifest>('PrometheusRule')
  t.strictSame(rule!.spec, parse(text('ops/prometheus/alerts.yml')))
})
