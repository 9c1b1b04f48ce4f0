/** Commands to the whole fleet while it runs: pause, resume, limit. */
import { Option } from 'commander'
import type { Command } from 'commander'
import { stageNames } from '../../streams/topology.ts'
import { limitedResources } from '../commands/control-limits.ts'
import type { LimitOptions, PauseOptions } from '../commands/control.ts'
import { count, oneOf } from './define.ts'
import type { Cli } from './define.ts'

const tenantOption = new Option('--tenant <T>', 'only for this tenant')
const reasonOption = new Option('--reason <text>', 'why, for whoever lists it')
const partition = new Option('--partition <n>', "only this partition of the stage's topic").argParser(count(0))

export function addControlCommands({ command, json }: Cli): void {
  command('pause', 'holds up a stage, a tenant or a partition everywhere; without arguments lists what is paused', [
    'sluice pause chunker --reason "the database is being moved"',
    'sluice pause --tenant acme',
    'sluice pause',
  ])
    .addArgument(oneOf('[STAGE]', 'which one, or all of them', [...stageNames, 'all']))
    .addOption(tenantOption)
    .addOption(partition)
    .addOption(reasonOption)
    .action(async (stage: string | undefined, options: Omit<PauseOptions, 'json'>) =>
      (await import('../commands/control.ts')).pause(stage, { ...options, json: json() }),
    )

  command('resume', 'lifts a pause, named with the same words, and tells which others hold', [
    'sluice resume chunker',
    'sluice resume --tenant acme',
  ])
    .addArgument(oneOf('[STAGE]', 'which one, or all of them', [...stageNames, 'all']))
    .addOption(tenantOption)
    .addOption(partition)
    .action(async (stage: string | undefined, options: Omit<PauseOptions, 'json'>) =>
      (await import('../commands/control.ts')).resume(stage, { ...options, json: json() }),
    )

  limitArguments(
    command('limit', 'sets totals over all instances; without arguments lists what is limited', [
      'sluice limit embeddings --requests-per-minute 600 --tokens-per-minute 1000000 --in-flight 8',
      'sluice limit processor --records-per-second 20',
      'sluice limit database --in-flight 4 --reason "a migration runs"',
      'sluice limit embeddings --off',
    ]).addOption(tenantOption),
  ).action(async (resource: string | undefined, options: Omit<LimitOptions, 'json'>) =>
    (await import('../commands/control.ts')).limit(resource, { ...options, json: json() }),
  )
}

/** What `sluice limit` and `sluice tenant limit` have in common. */
export const limitArguments = (one: Command): Command =>
  one
    .addArgument(oneOf('[RESOURCE]', 'what to limit', limitedResources))
    .option('--requests-per-minute <n>', 'of embeddings: a number, off or unlimited')
    .option('--tokens-per-minute <n>', 'of embeddings')
    .option('--in-flight <n>', 'of embeddings and database: requests at once')
    .option('--records-per-second <n>', 'of a stage')
    .option('--off', 'lifts all limits of the resource: what the environment says holds again')
    .addOption(reasonOption)
