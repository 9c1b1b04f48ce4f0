/** The instances of a scenario, by number, in the order of their start. */
import { join } from 'node:path'
import { startInstance } from './instances.ts'
import type { Environment, Instance } from './instances.ts'

export function createFleet(environment: Environment, folder: string) {
  const instances: Instance[] = []
  let started = 0
  let most = 0
  const launch = async () => {
    started += 1
    instances.push(await startInstance(environment, join(folder, `instance-${started}.log`)))
    most = Math.max(most, instances.length)
  }
  return {
    /** Most that ran at once. */
    most: () => most,
    /** Resolves when every one of them is ready, the older ones too. */
    start: async (count: number) => {
      for (let index = 0; index < count; index += 1) await launch()
      await Promise.all(instances.map((instance) => instance.ready()))
    },
    /** Does not wait until it is ready. */
    join: launch,
    kill: async (number: number) => instances.splice(number - 1, 1)[0]!.kill(),
    leave: async (number: number) => instances.splice(number - 1, 1)[0]!.stop(),
    stop: async () => void (await Promise.all(instances.map((instance) => instance.kill()))),
  }
}
