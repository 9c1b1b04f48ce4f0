/** Where the parts of a running stack answer, for the other commands on this machine. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Endpoints {
  readonly brokers?: string[]
  /** Base URL of the registry's Confluent API. */
  readonly registryUrl?: string
  readonly databaseUrl?: string
  readonly openaiBaseUrl?: string
  readonly openaiApiKey?: string
}

const file = (dataDir: string) => join(dataDir, 'endpoints.json')

/** Readers see the old file or the new one, never half of it. */
export function writeEndpoints(dataDir: string, endpoints: Endpoints): void {
  const partial = `${file(dataDir)}.${process.pid}`
  writeFileSync(partial, JSON.stringify({ pid: process.pid, ...endpoints }, null, 2) + '\n', { mode: 0o600 })
  renameSync(partial, file(dataDir))
}

export const removeEndpoints = (dataDir: string): void => rmSync(file(dataDir), { force: true })

/** @returns undefined when no stack runs on the folder, also when its owner died without removing the file. */
export function readEndpoints(dataDir: string): (Endpoints & { readonly pid: number }) | undefined {
  let text: string
  try {
    text = readFileSync(file(dataDir), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const endpoints = JSON.parse(text) as Endpoints & { pid: number }
  return isAlive(endpoints.pid) ? endpoints : undefined
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
