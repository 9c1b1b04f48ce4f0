import t from 'tap'
import { topics } from '../../schemas/topics.ts'
import { stageNames, topology } from '../../streams/topology.ts'
import type { StageName } from '../../streams/topology.ts'
import { defaults } from '../config.ts'
import { services, text } from '../testing/compose.ts'
import { manifests, ofKind } from '../testing/kubernetes.ts'
import type { Budget, Container, Deployment, Job, Manifest, ScaledObject } from '../testing/kubernetes.ts'

const deployments = ofKind<Deployment>('Deployment')
const jobs = ofKind<Job>('Job')
const nameOf = (stage: string) => `sluice-${stage}`
const byStage = stageNames.map(
  (stage) => [stage, deployments.find(({ metadata }) => metadata.name === nameOf(stage))!] as const,
)
const containersOf = ({ spec }: Deployment | Job): Container[] => [
  ...(spec.template.spec.initContainers ?? []),
  ...spec.template.spec.containers,
]

void t.test('every stage of the topology is a deployment that runs it, and nothing else is', async (t) => {
  t.strictSame(deployments.map(({ metadata }) => metadata.name).sort(), stageNames.map(nameOf).sort())
  for (const [stage, { spec }] of byStage) {
    t.equal(spec.template.spec.containers.length, 1)
    t.strictSame(spec.template.spec.containers[0]!.args, ['run', stage])
    for (const [name, value] of Object.entries(spec.selector.matchLabels))
      t.equal(spec.template.metadata.labels[name], value, 'it selects its own pods')
  }
})

void t.test('the deployments differ in name, command, resources and in nothing else', async (t) => {
  const common = ([stage, { spec }]: (typeof byStage)[number]) =>
    JSON.stringify({ ...spec, template: { ...spec.template, spec: withoutResources(spec.template.spec) } }).replaceAll(
      `"${stage}"`,
      '"STAGE"',
    )
  const withoutResources = ({ containers, ...pod }: Deployment['spec']['template']['spec']) => ({
    ...pod,
    containers: containers.map(({ resources: _, ...container }) => container),
  })
  const [first, ...others] = byStage.map(common)
  for (const other of others) t.equal(other, first)
})

void t.test('a pod is asked for its health where the admin port answers', async (t) => {
  const admin = text('ops/admin.ts')
  for (const [stage, { spec }] of byStage) {
    const [{ startupProbe, livenessProbe, readinessProbe, ports }] = spec.template.spec.containers as [Container]
    for (const probe of [startupProbe, livenessProbe, readinessProbe]) {
      t.match(admin, `'${probe!.httpGet.path}'`, `${stage}: ${probe!.httpGet.path}`)
      t.equal(probe!.httpGet.port, ports![0]!.name)
    }
    t.strictSame(
      [startupProbe, livenessProbe, readinessProbe].map((probe) => probe!.httpGet.path),
      ['/healthz', '/healthz', '/readyz'],
    )
    const startsWithinMs = startupProbe!.periodSeconds * startupProbe!.failureThreshold * 1_000
    t.ok(startsWithinMs > defaults.kafka.rebalanceTimeoutMs * 2, 'joining may wait for a rebalance, and for another')
  }
})

void t.test('a pod is given more time to stop than it takes to drain, and nothing delays the signal', async (t) => {
  for (const [stage, { spec }] of byStage) {
    const { terminationGracePeriodSeconds: graceS, containers } = spec.template.spec
    t.ok(graceS! * 1_000 >= defaults.runtime.drainTimeoutMs + 10_000, stage)
    t.equal(`${graceS}s`, services[stage]!.stop_grace_period, 'as in compose')
    t.equal(containers[0]!.lifecycle, undefined)
  }
})

void t.test('one pod of a stage at a time is taken away while nodes are drained', async (t) => {
  const budgets = ofKind<Budget>('PodDisruptionBudget')
  t.equal(budgets.length, stageNames.length)
  for (const [stage, { spec }] of byStage) {
    const budget = budgets.find(({ metadata }) => metadata.name === nameOf(stage))!
    t.equal(budget.spec.maxUnavailable, 1)
    t.strictSame(budget.spec.selector, spec.selector)
    t.ok(spec.replicas > 1, 'with a single pod it would stop the stage')
  }
})

void t.test('stages scale by lag that more pods would work off, up to one pod a partition', async (t) => {
  const scaled = ofKind<ScaledObject>('ScaledObject')
  t.ok(scaled.length > 0)
  const withoutReplicas = ofKind<Manifest>('Component', 'components/autoscaling')
    .flatMap(({ patches }) => patches ?? [])
    .filter(({ patch }) => /op: remove\s+path: \/spec\/replicas/.test(patch ?? ''))
    .map(({ target }) => target!.name)
  for (const { metadata, spec } of scaled) {
    const stage = spec.scaleTargetRef.name.replace('sluice-', '') as StageName
    t.ok(stageNames.includes(stage), metadata.name)
    t.ok(spec.maxReplicaCount <= topics[topology[stage].from].partitions, `${stage}: a pod more would get no partition`)
    const { replicas } = byStage.find(([name]) => name === stage)![1].spec
    t.equal(spec.minReplicaCount, replicas, 'as many at least as without it')
    t.ok(
      withoutReplicas.some((name) => new RegExp(`^(${name})$`).test(spec.scaleTargetRef.name)),
      'applying the manifests again changes no number of pods',
    )
    for (const { metadata: trigger } of spec.triggers) {
      const [, metric, label] = /^max\((sluice_\w+)\{stage="(\w+)"\}\)$/.exec(trigger['query']!)!
      t.equal(label, stage)
      t.ok(isExported(metric!), `${metric} is exported`)
      t.equal(trigger['ignoreNullValues'], 'false', 'a metric that is gone is no lag of 0')
    }
  }
})

/** Names stand in the code without their common prefix. A stage's figures are those of its whole group, on every instance. */
const isExported = (metric: string) => text('ops/metrics/fleet.ts').includes(`'${metric.replace('sluice_', '')}'`)

void t.test(
  'every container runs the image of compose, as a user by number, on a tree that it cannot write to',
  async (t) => {
    for (const one of [...deployments, ...jobs])
      for (const container of containersOf(one)) {
        const name = `${one.metadata.name ?? one.file}: ${container.name}`
        t.equal(container.image, services['crawler']!.image, name)
        t.strictSame(
          container.securityContext,
          { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
          name,
        )
        t.ok(container.resources.requests['cpu'] && container.resources.requests['memory'], name)
        t.ok(container.resources.limits['memory'] && !container.resources.limits['cpu'], name)
        t.ok(
          container.volumeMounts.some(({ mountPath }) => mountPath === '/tmp'),
          `${name} has a folder for files`,
        )
      }
    const [, uid, gid] = /^USER (\d+):(\d+)$/m.exec(text('ops/docker/Dockerfile'))!.map(Number)
    for (const { metadata, spec } of [...deployments, ...jobs])
      t.match(
        spec.template.spec.securityContext,
        { runAsNonRoot: true, runAsUser: uid, runAsGroup: gid, seccompProfile: { type: 'RuntimeDefault' } },
        metadata.name,
      )
  },
)

void t.test('a replay that was cancelled or failed is not begun again; one that was cut short is', async (t) => {
  const [job] = ofKind<Job>('Job', 'examples')
  const { podFailurePolicy, template } = job!.spec
  t.equal(template.spec.restartPolicy, 'Never', 'else the policy is not asked')
  t.ok(template.spec.terminationGracePeriodSeconds! >= 45)
  const [ends] = podFailurePolicy!.rules
  t.match(ends, {
    action: 'FailJob',
    onExitCodes: { containerName: template.spec.containers[0]!.name, operator: 'In' },
  })
  t.strictSame(ends!.onExitCodes!.values, [1, 2])
})

void t.test('no pod can talk to the API server', async (t) => {
  for (const { metadata, spec } of [...deployments, ...jobs]) {
    t.equal(spec.template.spec.automountServiceAccountToken, false, metadata.name)
    t.equal(spec.template.spec.serviceAccountName, ofKind('ServiceAccount')[0]!.metadata.name)
  }
})

void t.test('what is part of the whole is listed, and names no order of a single tool', async (t) => {
  const listed = ofKind<Manifest>('Kustomization', 'base')[0]!.resources!
  const files = new Set(manifests.filter(({ file }) => file.startsWith('base/')).map(({ file }) => file.slice(5)))
  files.delete('kustomization.yaml')
  t.strictSame([...listed].sort(), [...files].sort())
  for (const { metadata, file } of manifests) t.equal(metadata?.annotations, undefined, file)
})
