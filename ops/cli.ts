/** The `sluice` command. Results on stdout, progress and logs on stderr; exit 0 done, 1 failed, 2 wrong use. */
import { Console } from 'node:console'
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { UserError } from '../streams/errors.ts'
import { bench, benchmarkList } from './commands/bench.ts'
import { formatError, describeError } from './commands/hints.ts'
import type { LimitOptions, PauseOptions } from './commands/control.ts'
import { isDebugging } from './config.ts'
import { stageNames } from '../streams/topology.ts'
import type { StageName } from '../streams/topology.ts'
import packageFile from '../package.json' with { type: 'json' }

interface Global {
  json?: boolean
}

// stdout is for results alone: a library that logs with console.log must not break a consumer's NDJSON.
globalThis.console = new Console(process.stderr)
// `| head` closes the pipe once it has seen enough. Nobody is left to write to; embedded parts end with this process.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
// Whoever read our messages is gone: no reason to stop the work.
process.stderr.on('error', () => {})

const program = new Command('sluice')
  .description('Web pages of many tenants into searchable knowledge, over Kafka, at a flat load.')
  .version(packageFile.version)
  .option('--json', 'results as one JSON object a line on stdout')
  .showHelpAfterError('(sluice --help shows what there is)')
  .showSuggestionAfterError()
  .exitOverride()
const json = () => program.opts<Global>().json ?? false

/** Commands load their own modules: `--help` and `robots` should not wait for jsdom and kafkajs. */
function command(usage: string, description: string, examples: readonly string[] = []): Command {
  const text = examples.length > 0 ? `\nExamples:\n${examples.map((line) => `  $ ${line}`).join('\n')}\n` : ''
  return program.command(usage).description(description).addHelpText('after', text)
}

const count = (least: number) => (text: string) => {
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least)
    throw new InvalidArgumentError(`It must be a whole number from ${least} up.`)
  return value
}

command('demo', 'the whole job on a sample site, or on the URLs given, from nothing; ends by itself with a summary', [
  'sluice demo',
  'CRAWL_ALLOW_HOSTS=localhost:8080 sluice demo http://localhost:8080/',
])
  .argument('[URL...]', 'pages to start from; default: the sample site')
  .option('--keep', 'stay up afterwards, until Ctrl-C')
  .option('--max-pages <n>', 'most pages per start URL', count(1))
  .action(async (urls: string[], options: { keep?: boolean; maxPages?: number }) =>
    (await import('./commands/demo.ts')).demo(urls, { ...options, json: json() }),
  )

command('up', 'embedded parts, migrations, topics and all stages, until Ctrl-C').action(async () =>
  (await import('./commands/up.ts')).up(),
)

command('run', 'the named stages of this instance, against real services or a running `sluice up`', [
  'KAFKA_BROKERS=… SCHEMA_REGISTRY_URL=… DATABASE_URL=… sluice run processor chunker',
])
  .argument('<STAGE...>', stageNames.join(', '))
  .action(async (names: string[]) => {
    const unknown = names.filter((name) => !stageNames.includes(name as StageName))
    if (unknown.length > 0)
      throw new UserError(`no stage ${unknown.join(', ')}`, `The stages are ${stageNames.join(', ')}.`, 2)
    await (await import('./commands/run.ts')).run([...new Set(names)] as StageName[])
  })

command('crawl', 'asks for a crawl; with --wait shows progress until the pages are searchable', [
  'sluice crawl --tenant acme https://example.com/ --max-pages 200 --wait',
])
  .requiredOption('--tenant <T>', 'the tenant that will own the pages')
  .argument('<URL...>', 'pages to start from')
  .option('--max-pages <n>', 'most pages of this crawl', count(1))
  .option('--max-depth <n>', 'most links from a start URL', count(0))
  .option('--chunk-type <type>', 'chunk_type of the chunks', 'website')
  .option('--wait', 'wait until the pages are searchable')
  .action(
    async (
      urls: string[],
      options: { tenant: string; maxPages?: number; maxDepth?: number; chunkType: string; wait?: boolean },
    ) => (await import('./commands/crawl.ts')).crawl(urls, { ...options, json: json() }),
  )

command('search', "finds passages of a tenant's knowledge", ['sluice search --tenant acme "how do I reset it?" -k 3'])
  .requiredOption('--tenant <T>', 'whose knowledge')
  .argument('<question>')
  .option('-k <n>', 'most passages', count(1), 5)
  .action(async (question: string, options: { tenant: string; k: number }) =>
    (await import('./commands/search.ts')).search(question, { ...options, json: json() }),
  )

const tenantOption = new Option('--tenant <T>', 'only for this tenant')
const reasonOption = new Option('--reason <text>', 'why, for whoever lists it')
const partition = new Option('--partition <n>', "only this partition of the stage's topic").argParser(count(0))

command('pause', 'holds up a stage, a tenant or a partition everywhere; without arguments lists what is paused', [
  'sluice pause chunker --reason "the database is being moved"',
  'sluice pause --tenant acme',
  'sluice pause',
])
  .argument('[STAGE]', `${stageNames.join(', ')}, or all`)
  .addOption(tenantOption)
  .addOption(partition)
  .addOption(reasonOption)
  .action(async (stage: string | undefined, options: Omit<PauseOptions, 'json'>) =>
    (await import('./commands/control.ts')).pause(stage, { ...options, json: json() }),
  )

command('resume', 'lifts a pause, named with the same words, and tells which others hold', ['sluice resume chunker'])
  .argument('[STAGE]', `${stageNames.join(', ')}, or all`)
  .addOption(tenantOption)
  .addOption(partition)
  .action(async (stage: string | undefined, options: Omit<PauseOptions, 'json'>) =>
    (await import('./commands/control.ts')).resume(stage, { ...options, json: json() }),
  )

const limitArguments = (one: Command): Command =>
  one
    .argument('[RESOURCE]', `embeddings, database, ${stageNames.join(', ')}`)
    .option('--requests-per-minute <n>', 'of embeddings: a number, off or unlimited')
    .option('--tokens-per-minute <n>', 'of embeddings')
    .option('--in-flight <n>', 'of embeddings and database: requests at once')
    .option('--records-per-second <n>', 'of a stage')
    .option('--off', 'lifts all limits of the resource: what the environment says holds again')
    .addOption(reasonOption)

limitArguments(
  command('limit', 'sets totals over all instances; without arguments lists what is limited', [
    'sluice limit embeddings --requests-per-minute 600 --tokens-per-minute 1000000 --in-flight 8',
    'sluice limit processor --records-per-second 20',
    'sluice limit database --in-flight 4 --reason "a migration runs"',
    'sluice limit embeddings --off',
  ]).addOption(tenantOption),
).action(async (resource: string | undefined, options: Omit<LimitOptions, 'json'>) =>
  (await import('./commands/control.ts')).limit(resource, { ...options, json: json() }),
)

const tenants = command('tenant', 'a tenant: limit')
limitArguments(
  tenants
    .command('limit')
    .description("sets a tenant's own limits, over all instances; with the tenant alone lists them")
    .argument('<T>', 'the tenant'),
).action(async (tenant: string, resource: string | undefined, options: Omit<LimitOptions, 'json'>) =>
  (await import('./commands/control.ts')).limit(resource, { ...options, tenant, json: json() }),
)

const migrate = command('migrate', 'the tables: up, down, status')
migrate
  .command('up')
  .description('brings the database up to date')
  .action(async () => (await import('./commands/migrate.ts')).migrate('up', { json: json() }))
migrate
  .command('down')
  .description('takes back the newest migration')
  .option('--all', 'takes back all of them, and with them all knowledge')
  .action(async (options: { all?: boolean }) =>
    (await import('./commands/migrate.ts')).migrate('down', { ...options, json: json() }),
  )
migrate
  .command('status')
  .description('what is done and what is pending; exit 1 while something is pending')
  .action(async () => (await import('./commands/migrate.ts')).migrate('status', { json: json() }))

const topics = command('topics', 'the topics: apply')
topics
  .command('apply')
  .description('creates missing topics and schemas and checks the others; never deletes')
  .action(async () => (await import('./commands/topics.ts')).apply({ json: json() }))

command('doctor', 'checks every dependency and invariant and says what to do').action(async () =>
  (await import('./commands/doctor.ts')).doctor({ json: json() }),
)

command('extract', 'what the processor makes of a page', ['sluice extract --json page.html'])
  .argument('<FILE...>', 'HTML, Markdown or text')
  .action(async (files: string[]) => (await import('./commands/inspect.ts')).extract(files, { json: json() }))

command('chunk', 'what the chunker makes of a file', ['sluice chunk --json README.md'])
  .argument('<FILE...>', 'text, Markdown or HTML')
  .option('--child-tokens <n>', 'tokens a chunk', count(20))
  .action(async (files: string[], options: { childTokens?: number }) =>
    (await import('./commands/inspect.ts')).chunk(files, { ...options, json: json() }),
  )

command('robots', 'what a robots.txt allows', ['sluice robots --json --agent sluice robots.txt https://example.com/a'])
  .requiredOption('--agent <UA>', 'user agent, or its product token')
  .argument('<ROBOTS_FILE>')
  .argument('<URL...>')
  .action(async (file: string, urls: string[], options: { agent: string }) =>
    (await import('./commands/inspect.ts')).robots(file, urls, { ...options, json: json() }),
  )

command('bench', 'the benchmarks: figures of this project beside others, measured in one run', [
  'sluice bench smoothness --quick',
])
  .argument('<NAME>', 'which one; they are listed below')
  .argument('[ARG...]', 'its own arguments and options')
  .addHelpText('after', () => `\nBenchmarks:\n${benchmarkList()}\n`)
  .allowUnknownOption()
  .action(async (name: string, args: string[]) => bench(name, args, { json: json() }))

// --json is allowed after the command's name too.
for (const sub of program.commands.flatMap((one) => [one, ...one.commands]))
  sub
    .addOption(new Option('--json', 'results as one JSON object a line on stdout').hideHelp())
    .hook('preAction', (_, action) => {
      if (action.opts<Global>().json) program.setOptionValue('json', true)
    })
for (const sub of program.commands.flatMap((one) => [one, ...one.commands])) sub.exitOverride()

try {
  await program.parseAsync()
  process.exitCode ??= 0
} catch (error) {
  process.exitCode = report(error)
}

function report(error: unknown): number {
  // commander has printed its own message by now; --help and --version end with code 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  console.error(formatError(error))
  if (isDebugging() && error instanceof Error) console.error(error.stack)
  return describeError(error).code
}
