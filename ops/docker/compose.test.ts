import { existsSync } from 'node:fs'
import t from 'tap'
import { compose, filled, inRoot, own, services, stages, text } from '../testing/compose.ts'
import { stageNames } from '../../streams/topology.ts'

const all = Object.entries(services)

void t.test('a service starts only after everything that it talks to is well', async (t) => {
  for (const [name, service] of all)
    for (const [needed, { condition }] of Object.entries(service.depends_on ?? {})) {
      t.ok(services[needed], `${name} → ${needed}`)
      t.equal(
        condition,
        needed === 'migrate' ? 'service_completed_successfully' : 'service_healthy',
        `${name} → ${needed}`,
      )
    }
})

void t.test('every service but the one-shot has a health check, its own or that of the image', async (t) => {
  const image = /^HEALTHCHECK [^]*?"http|^HEALTHCHECK /m.test(text('ops/docker/Dockerfile'))
  const asks = (name: string) => {
    const { healthcheck, image: runs } = services[name]!
    if (healthcheck?.disable) return false
    return healthcheck?.test ? healthcheck.test.length > 0 : image && runs === services['crawler']!.image
  }
  t.strictSame(
    Object.keys(services).filter((name) => !asks(name)),
    ['migrate'],
  )
  t.equal(
    services['migrate']!.healthcheck?.disable,
    true,
    'the image’s check would wait for a port that it never opens',
  )
})

void t.test('everything that stays up is started again, and the one-shot is not', async (t) => {
  t.strictSame(
    all.filter(([, { restart }]) => restart !== 'unless-stopped').map(([name]) => name),
    ['migrate'],
  )
})

void t.test('our own services run with a read-only root, no capability and no new privilege', async (t) => {
  t.strictSame(own.map(([name]) => name).sort(), [...stageNames, 'embeddings', 'migrate'].sort())
  for (const [name, service] of own) {
    t.equal(service.read_only, true, name)
    t.strictSame(service.tmpfs, ['/tmp'], name)
    t.strictSame(service.cap_drop, ['ALL'], name)
    t.strictSame(service.security_opt, ['no-new-privileges:true'], name)
    t.equal(service.init, true, `${name}: SIGTERM ends it before its handlers are there too`)
  }
})

void t.test('no service grows without a limit of memory', async (t) => {
  for (const [name, { mem_limit }] of all) t.match(mem_limit, /^\d+[mg]$/, name)
})

void t.test('no service is reached from beyond this machine', async (t) => {
  const published = all.flatMap(([, { ports = [] }]) => ports)
  for (const port of published) t.match(filled(port), /^127\.0\.0\.1:\d+:\d+$/)
  t.equal(new Set(published.map((port) => filled(port).split(':')[1])).size, published.length, 'no port twice')
  t.strictSame(
    all
      .filter(([, { ports }]) => ports)
      .map(([name]) => name)
      .sort(),
    ['crawler', 'grafana', 'kafka', 'kafka-ui', 'postgres', 'prometheus', 'registry'],
  )
})

void t.test('the addresses named at the top of the file are those that are published', async (t) => {
  const top = text('docker-compose.yml').split('x-sluice:')[0]!
  const named = [...top.matchAll(/http:\/\/localhost:(\d+)/g)].map(([, port]) => port).sort()
  const pages = ['crawler', 'kafka-ui', 'prometheus', 'grafana']
  t.strictSame(named, pages.map((name) => filled(services[name]!.ports![0]).split(':')[1]).sort())
})

void t.test('volumes are declared, and files mounted from here exist', async (t) => {
  const mounts = all.flatMap(([, { volumes = [] }]) => volumes.map((volume) => volume.split(':')[0]!))
  t.strictSame(mounts.filter((from) => !from.startsWith('./')).sort(), Object.keys(compose['volumes'] as object).sort())
  for (const from of mounts.filter((from) => from.startsWith('./'))) t.ok(existsSync(inRoot(from)), from)
  for (const [name, { volumes = [] }] of all)
    for (const volume of volumes.filter((one) => one.startsWith('./')))
      t.ok(volume.endsWith(':ro'), `${name}: ${volume} is ours, not the container's`)
})

void t.test('every image is pinned to a version', async (t) => {
  for (const [name, { image }] of all) t.match(image, /:v?\d+\.\d+\.\d+[\w.-]*$/, name)
})

void t.test('no secret stands in the file: at most a default for development, which a variable replaces', async (t) => {
  const secret = /password|secret|token|key$/i
  for (const [name, { environment = {} }] of all)
    for (const [variable, value] of Object.entries(environment))
      if (secret.test(variable) && !variable.endsWith('_PER_MINUTE'))
        t.match(String(value), /^\$\{\w+:-(sluice(-development)?)?\}$/, `${name}: ${variable}`)
  const files = Object.values(compose['secrets'] as Record<string, { file: string }>)
  for (const { file } of files) t.equal(filled(file), '/dev/null', 'a file that the shell names, or an empty one')
  const replaced = [...text('docker-compose.yml').matchAll(/\$\{(\w*(?:PASSWORD|TOKEN)):-\w/g)].map(([, name]) => name!)
  const [, named] = /for name in (.+?); do/.exec(text('docker-compose.yml'))!
  t.strictSame([...new Set(replaced)].sort(), named!.split(' ').sort(), 'each is among those to be set')
})

void t.test('only what has no second instance publishes a port, so that the others can be scaled', async (t) => {
  t.strictSame(
    stages.filter(([, { ports }]) => ports).map(([stage]) => stage),
    ['crawler'],
  )
})
