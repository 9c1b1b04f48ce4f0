/** docker-compose.yml as the tests read it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { stageNames } from '../../streams/topology.ts'

export interface ComposeService {
  readonly image: string
  readonly entrypoint?: readonly string[]
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string | number>>
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean; readonly interval?: string }
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
  readonly secrets?: readonly string[]
  readonly profiles?: readonly string[]
  readonly tmpfs?: readonly string[]
  readonly cap_drop?: readonly string[]
  readonly security_opt?: readonly string[]
  readonly read_only?: boolean
  readonly init?: boolean
  readonly mem_limit?: string
  readonly stop_grace_period?: string
  readonly restart?: string
}

const root = join(import.meta.dirname, '..', '..')
export const inRoot = (path: string) => join(root, path)
export const text = (path: string) => readFileSync(inRoot(path), 'utf8')
export const yaml = (path: string) => parse(text(path), { merge: true }) as Record<string, unknown>

export const compose = yaml('docker-compose.yml')
export const services = compose['services'] as Readonly<Record<string, ComposeService>>
export const stages = stageNames.map((stage) => [stage, services[stage]!] as const)
/** Those that run our image. */
export const own = Object.entries(services).filter(([, { image }]) => image === services['crawler']!.image)

/** What compose puts in for ${NAME:-default}, `given` being the shell's variables; $$ is a $. */
export const filled = (value: unknown, given: Readonly<Record<string, string>> = {}) =>
  String(value)
    .replaceAll(/\$\{(\w+):-([^}]*)\}/g, (_, name: string, fallback: string) => given[name] || fallback)
    .replaceAll('$$', '$')

export const environmentOf = ({ environment = {} }: ComposeService) =>
  Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, filled(value)]))

/** `a://x,b://y` as an object. */
export const listeners = (setting: string): Readonly<Record<string, string>> =>
  Object.fromEntries(setting.split(',').map((listener) => listener.split('://') as [string, string]))

/** 1g, 512m as megabytes. */
export function megabytes(limit: string): number {
  const [, amount, unit] = /^(\d+)([mg])$/.exec(limit)!
  return Number(amount) * (unit === 'g' ? 1024 : 1)
}
