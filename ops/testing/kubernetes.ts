/** The manifests of ops/kubernetes as the tests read them, without kustomize: every file is whole by itself. */
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'

const folder = join(import.meta.dirname, '..', 'kubernetes')

export interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string }
  readonly periodSeconds: number
  readonly timeoutSeconds: number
  readonly failureThreshold: number
}
export interface Container {
  readonly name: string
  readonly image: string
  readonly args: readonly string[]
  readonly envFrom: readonly { readonly configMapRef: { readonly name: string } }[]
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[]
  readonly startupProbe?: Probe
  readonly livenessProbe?: Probe
  readonly readinessProbe?: Probe
  readonly lifecycle?: object
  readonly resources: Readonly<Record<'requests' | 'limits', Readonly<Record<string, string>>>>
  readonly securityContext: object
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[]
}
export interface PodSpec {
  readonly serviceAccountName: string
  readonly automountServiceAccountToken: boolean
  readonly restartPolicy?: string
  readonly terminationGracePeriodSeconds?: number
  readonly securityContext: object
  readonly topologySpreadConstraints?: readonly object[]
  readonly initContainers?: readonly Container[]
  readonly containers: readonly Container[]
  readonly volumes: readonly { readonly name: string; readonly secret?: { readonly secretName: string } }[]
}
type Labels = Readonly<Record<string, string>>
export interface Manifest<Spec = unknown> {
  readonly file: string
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly labels?: Labels; readonly annotations?: Labels }
  readonly spec: Spec
  readonly data?: Labels
  readonly resources?: readonly string[]
  readonly components?: readonly string[]
  readonly patches?: readonly { readonly target?: { readonly name: string }; readonly patch?: string }[]
}
interface Selector {
  readonly matchLabels: Labels
}
export type Deployment = Manifest<{
  readonly replicas: number
  readonly selector: Selector
  readonly template: { readonly metadata: { readonly labels: Labels }; readonly spec: PodSpec }
}>
export type Job = Manifest<{
  readonly podFailurePolicy?: {
    readonly rules: readonly {
      readonly action: string
      readonly onExitCodes?: { readonly values: readonly number[] }
    }[]
  }
  readonly template: { readonly spec: PodSpec }
}>
export type Budget = Manifest<{ readonly maxUnavailable: number; readonly selector: Selector }>
export type ScaledObject = Manifest<{
  readonly scaleTargetRef: { readonly name: string }
  readonly minReplicaCount: number
  readonly maxReplicaCount: number
  readonly triggers: readonly { readonly type: string; readonly metadata: Labels }[]
}>
export type Policy = Manifest<{
  readonly podSelector: Selector
  readonly ingress?: readonly { readonly ports: readonly { readonly port: number }[] }[]
  readonly egress?: readonly { readonly ports: readonly { readonly port: number }[] }[]
}>

export const manifests: readonly Manifest[] = (readdirSync(folder, { recursive: true }) as string[])
  .filter((file) => file.endsWith('.yaml'))
  .flatMap((file) =>
    parseAllDocuments(readFileSync(join(folder, file), 'utf8'), { strict: true }).map((document) => {
      if (document.errors.length > 0) throw new Error(`${file}: ${document.errors[0]!.message}`)
      return { file, ...(document.toJS() as object) } as Manifest
    }),
  )

export const ofKind = <M extends Manifest>(kind: string, under = '') =>
  manifests.filter((one) => one.kind === kind && one.file.startsWith(under)) as M[]
