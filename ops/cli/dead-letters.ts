/** Commands for what failed for good. */
import type { Command } from 'commander'
import { consumedTopics } from '../../schemas/topics.ts'
import type { ConsumedTopic } from '../../schemas/topics.ts'
import type { DiscardWish, Filters, RedriveWish } from '../commands/dlq.ts'
import { count, oneOf } from './define.ts'
import type { Cli } from './define.ts'

export function addDeadLetterCommands({ command, subcommand, json }: Cli): void {
  const deadLetters = command('dlq', 'dead letters: list, show, redrive, discard', ['sluice dlq list'])
  const topic = () => oneOf('<TOPIC>', 'whose dead letters', consumedTopics)
  const positions = 'PARTITION:OFFSET of one; none: all that the filters name'
  const filtered = (one: Command): Command =>
    one
      .option('--tenant <T>', 'only of this tenant')
      .option('--code <C>', 'only with this error code')
      .option('--since <TIME>', 'only those dead since a time, or for at most so long (6h)')
  const yes = 'does it; without, it only says what would happen'
  filtered(
    subcommand(deadLetters, 'list', 'open dead letters, newest first', [
      'sluice dlq list',
      'sluice dlq list pages.processed --code embedding_rejected --since 6h',
      'sluice dlq list pages.crawled --tenant acme --all --json',
    ]).addArgument(oneOf('[TOPIC]', 'whose dead letters; none: all topics', consumedTopics)),
  )
    .option('--limit <n>', 'most letters shown', count(1), 50)
    .option('--all', 'those that were redriven or discarded, too')
    .action(async (name: ConsumedTopic | undefined, options: Filters & { limit: number; all?: boolean }) =>
      (await import('../commands/dlq.ts')).list(name, { ...options, json: json() }),
    )
  subcommand(deadLetters, 'show', 'one dead letter with its decoded value', ['sluice dlq show pages.crawled 3:41'])
    .addArgument(topic())
    .argument('<PARTITION:OFFSET>', 'as the list shows it')
    .action(async (name: ConsumedTopic, at: string) =>
      (await import('../commands/dlq.ts')).show(name, at, { json: json() }),
    )
  filtered(
    subcommand(deadLetters, 'redrive', 'gives dead letters back to their stage, each once, at a bounded rate', [
      'sluice dlq redrive pages.processed --code embedding_rejected --dry-run',
      'sluice dlq redrive pages.processed --code embedding_rejected --rate 50 --yes',
      'sluice dlq redrive pages.crawled 3:41 3:57 --yes',
    ])
      .addArgument(topic())
      .argument('[PARTITION:OFFSET...]', positions),
  )
    .option('--rate <n>', 'records a second', count(1), 10)
    .option('--max-cycles <n>', 'a record that was redriven this often is refused', count(1), 3)
    .option('--dry-run', 'only says what would happen')
    .option('--yes', yes)
    .action(async (name: ConsumedTopic, at: string[], options: Omit<RedriveWish, 'json'>) =>
      (await import('../commands/dlq.ts')).redrive(name, at, { ...options, json: json() }),
    )
  filtered(
    subcommand(deadLetters, 'discard', 'puts dead letters aside: they no longer count, the records stay', [
      'sluice dlq discard pages.crawled --tenant acme --code content_type_unsupported --reason "images" --yes',
    ])
      .addArgument(topic())
      .argument('[PARTITION:OFFSET...]', positions),
  )
    .requiredOption('--reason <text>', 'why, for whoever looks at them later')
    .option('--yes', yes)
    .action(async (name: ConsumedTopic, at: string[], options: Omit<DiscardWish, 'json'>) =>
      (await import('../commands/dlq.ts')).discard(name, at, { ...options, json: json() }),
    )
}
