/** Commands for whoever operates the pipeline: is it well, how far is it, do it again, whose is it. */
import { Option } from 'commander'
import type { Command } from 'commander'
import type { LimitOptions } from '../commands/control.ts'
import type { ReplayOptions } from '../commands/replay.ts'
import { stageNames } from '../../streams/topology.ts'
import { limitArguments } from './control.ts'
import { count, oneOf } from './define.ts'
import type { Cli } from './define.ts'

const partition = () => new Option('--partition <n>', "only this partition of the stage's topic").argParser(count(0))

export function addOperateCommands({ command, subcommand, json }: Cli): void {
  command('doctor', 'checks every dependency and invariant and says what to do', [
    'sluice doctor',
    `sluice doctor --json | jq 'select(.state == "bad")'`,
  ]).action(async () => (await import('../commands/doctor.ts')).doctor({ json: json() }))

  command('lag', 'how far each group is behind, for how long, and why', [
    'sluice lag',
    'sluice lag --watch',
    `sluice lag --json | jq 'select(.state == "stalled")'`,
  ])
    .option('--watch', 'again every 2 s, until Ctrl-C')
    .action(async (options: { watch?: boolean }) =>
      (await import('../commands/lag.ts')).lag({ ...options, json: json() }),
    )

  // --- replay

  const replays = command(
    'replay',
    'a stage over a part of its topic again, beside the live one and giving way to it',
    [
      'sluice replay chunker --from beginning --dry-run',
      'sluice replay chunker --from 2026-01-31T09:30:00Z --tenant acme',
      'sluice replay processor --from 6h --to 1h --detach',
    ],
  )
    .addArgument(oneOf('<STAGE>', 'which one', stageNames))
    .option('--from <where>', 'an offset, a time, how long ago (6h), or beginning')
    .option('--to <where>', 'likewise, exclusive; default: now')
    .addOption(partition())
    .option('--tenant <T>', 'only the records of this tenant')
    .option('--dry-run', 'says what would change and what it would cost; writes and buys nothing')
    .option('--detach', 'goes on in the background')
    .action(async (stage: string, options: Omit<ReplayOptions, 'json'>) =>
      (await import('../commands/replay.ts')).replay(stage, { ...options, json: json() }),
    )
  subcommand(replays, 'status', 'all replays, newest first, or one', ['sluice replay status'])
    .argument('[ID]', 'of one replay')
    .action(async (id: string | undefined) => (await import('../commands/replay-list.ts')).status(id, { json: json() }))
  subcommand(replays, 'cancel', 'ends a replay; what it has done stays', ['sluice replay cancel 1f0c9a7e'])
    .argument('<ID>', 'of the replay')
    .action(async (id: string) => (await import('../commands/replay-list.ts')).cancel(id, { json: json() }))
  subcommand(replays, 'resume', 'goes on with a replay that was interrupted', ['sluice replay resume 1f0c9a7e'])
    .argument('<ID>', 'of the replay')
    .action(async (id: string) => (await import('../commands/replay.ts')).resume(id, { json: json() }))
  subcommand(replays, 'reset', 'moves the live group itself; the stage must be stopped everywhere', [
    'sluice replay reset chunker --to beginning',
    'sluice replay reset processor --to 2026-01-31T09:30:00Z --partition 3 --yes',
  ])
    .addArgument(oneOf('<STAGE>', 'which one', stageNames))
    .option('--to <where>', 'an offset, a time, how long ago (6h), or beginning')
    .addOption(partition())
    .option('--yes', 'does it; without, it only says what would happen')
    // `replay` has options of the same names, and takes them wherever they stand.
    .action(async (stage: string, _: object, self: Command) =>
      (await import('../commands/replay-reset.ts')).reset(stage, { ...self.optsWithGlobals(), json: json() }),
    )

  // --- tenant

  const tenants = command('tenant', 'tenants: list, limit, delete, restore', ['sluice tenant list'])
  subcommand(tenants, 'list', 'tenants with what is stored of them and what holds them back', [
    'sluice tenant list',
    `sluice tenant list --json | jq 'select(.paused)'`,
  ]).action(async () => (await import('../commands/tenant.ts')).list({ json: json() }))
  subcommand(tenants, 'delete', 'deletes all that is stored of a tenant, and refuses its records from then on', [
    'sluice tenant delete acme',
    'sluice tenant delete acme --yes',
  ])
    .argument('<T>', 'the tenant')
    .option('--yes', 'does it; without, it only says what would go')
    .action(async (tenant: string, options: { yes?: boolean }) =>
      (await import('../commands/tenant.ts')).remove(tenant, { ...options, json: json() }),
    )
  subcommand(tenants, 'restore', 'takes the records of a deleted tenant again', ['sluice tenant restore acme'])
    .argument('<T>', 'the tenant')
    .action(async (tenant: string) => (await import('../commands/tenant.ts')).restore(tenant, { json: json() }))
  limitArguments(
    subcommand(tenants, 'limit', "sets a tenant's own limits, over all instances; with the tenant alone lists them", [
      'sluice tenant limit acme embeddings --requests-per-minute 60',
      'sluice tenant limit acme',
    ]).argument('<T>', 'the tenant'),
  ).action(async (tenant: string, resource: string | undefined, options: Omit<LimitOptions, 'json'>) =>
    (await import('../commands/control.ts')).limit(resource, { ...options, tenant, json: json() }),
  )
}
