/** Commands that run the pipeline, and what it is for: pages in, answers out. */
import { stageNames } from '../../streams/topology.ts'
import type { StageName } from '../../streams/topology.ts'
import { count, oneOf } from './define.ts'
import type { Cli } from './define.ts'

export function addPipelineCommands({ command, json }: Cli): void {
  command('demo', 'the whole job on a sample site, or on the URLs given, from nothing; ends by itself with a summary', [
    'sluice demo',
    'CRAWL_ALLOW_HOSTS=localhost:8080 sluice demo http://localhost:8080/',
  ])
    .argument('[URL...]', 'pages to start from; default: the sample site')
    .option('--keep', 'stay up afterwards, until Ctrl-C')
    .option('--max-pages <n>', 'most pages per start URL', count(1))
    .action(async (urls: string[], options: { keep?: boolean; maxPages?: number }) =>
      (await import('../commands/demo.ts')).demo(urls, { ...options, json: json() }),
    )

  command('up', 'embedded parts, migrations, topics and all stages, until Ctrl-C', ['sluice up']).action(async () =>
    (await import('../commands/up.ts')).up(),
  )

  command('run', 'the named stages of this instance, against real services or a running `sluice up`', [
    'KAFKA_BROKERS=… SCHEMA_REGISTRY_URL=… DATABASE_URL=… sluice run processor chunker',
  ])
    .addArgument(oneOf('<STAGE...>', 'which ones', stageNames))
    .action(async (names: StageName[]) => (await import('../commands/run.ts')).run([...new Set(names)]))

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
      ) => (await import('../commands/crawl.ts')).crawl(urls, { ...options, json: json() }),
    )

  command('search', "finds passages of a tenant's knowledge", ['sluice search --tenant acme "how do I reset it?" -k 3'])
    .requiredOption('--tenant <T>', 'whose knowledge')
    .argument('<question>', 'in any words')
    .option('-k <n>', 'most passages', count(1), 5)
    .action(async (question: string, options: { tenant: string; k: number }) =>
      (await import('../commands/search.ts')).search(question, { ...options, json: json() }),
    )
}
