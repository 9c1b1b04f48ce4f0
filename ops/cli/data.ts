/** Commands for tables, topics and files: the pipeline's own parts by themselves. */
import { bench, benchmarkList, benchmarks } from '../commands/bench.ts'
import { count, oneOf } from './define.ts'
import type { Cli } from './define.ts'

export function addDataCommands({ command, subcommand, json }: Cli): void {
  const migrate = command('migrate', 'the tables: up, down, status', ['sluice migrate up'])
  subcommand(migrate, 'up', 'brings the database up to date', ['sluice migrate up']).action(async () =>
    (await import('../commands/migrate.ts')).migrate('up', { json: json() }),
  )
  subcommand(migrate, 'down', 'takes back the newest migration', [
    'sluice migrate down',
    'sluice migrate down --all --yes',
  ])
    .option('--all', 'takes back all of them, and with them all knowledge; only says which without --yes')
    .option('--yes', 'does what --all says')
    .action(async (options: { all?: boolean; yes?: boolean }) =>
      (await import('../commands/migrate.ts')).migrate('down', { ...options, json: json() }),
    )
  subcommand(migrate, 'status', 'what is done and what is pending; exit 1 while something is pending', [
    'sluice migrate status',
  ]).action(async () => (await import('../commands/migrate.ts')).migrate('status', { json: json() }))

  const topics = command('topics', 'the topics: apply', ['sluice topics apply'])
  subcommand(topics, 'apply', 'creates missing topics and schemas and checks the others; never deletes', [
    'sluice topics apply',
    'SLUICE_PARTITIONS=24 sluice topics apply',
  ]).action(async () => (await import('../commands/topics.ts')).apply({ json: json() }))

  command('extract', 'what the processor makes of a page', ['sluice extract --json page.html'])
    .argument('<FILE...>', 'HTML, Markdown or text')
    .action(async (files: string[]) => (await import('../commands/inspect.ts')).extract(files, { json: json() }))

  command('chunk', 'what the chunker makes of a file', ['sluice chunk --json README.md'])
    .argument('<FILE...>', 'text, Markdown or HTML')
    .option('--child-tokens <n>', 'tokens a chunk', count(20))
    .action(async (files: string[], options: { childTokens?: number }) =>
      (await import('../commands/inspect.ts')).chunk(files, { ...options, json: json() }),
    )

  command('robots', 'what a robots.txt allows', [
    'sluice robots --json --agent sluice robots.txt https://example.com/a',
  ])
    .requiredOption('--agent <UA>', 'user agent, or its product token')
    .argument('<ROBOTS_FILE>', 'a robots.txt on disk')
    .argument('<URL...>', 'what to ask it about')
    .action(async (file: string, urls: string[], options: { agent: string }) =>
      (await import('../commands/inspect.ts')).robots(file, urls, { ...options, json: json() }),
    )

  command('bench', 'the benchmarks: figures of this project beside others, measured in one run', [
    'sluice bench smoothness --quick',
  ])
    .addArgument(oneOf('<NAME>', 'which one; more about each below', Object.keys(benchmarks)))
    .argument('[ARG...]', 'its own arguments and options')
    .addHelpText('after', () => `\nBenchmarks:\n${benchmarkList()}\n`)
    .allowUnknownOption()
    .action(async (name: string, args: string[]) => bench(name, args, { json: json() }))
}
