/** A scrape of a running instance, as Prometheus does it. */
import t from 'tap'
import { eventually } from '../testing/eventually.ts'
import { createWorld } from '../testing/world.ts'

t.setTimeout(240_000)
const world = await createWorld()
t.teardown(world.close)

t.test('a running instance tells how the fleet, its partitions and its clients are', async (t) => {
  const stages = await world.spawnStages(['processor', 'chunker'], { METRICS_TENANTS: world.tenants[0]! })
  const { adminPort } = JSON.parse(
    stages
      .log()
      .split('\n')
      .find((line) => line.includes('"msg":"running"'))!,
  ) as { adminPort: number }
  const scrape = async () => (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text()
  await world.produce(
    'pages.crawled',
    world.tenants.map((tenant_id) => ({
      ...{ tenant_id, url: 'https://a.example/', content_type: 'text/markdown' },
      body: Buffer.from('# Returns\n\nWithin 30 days of the purchase, with the receipt.'),
    })),
  )
  await world.drained('processor')
  await world.drained('chunker')
  const text = await eventually('the lag is told to be 0', scrape, (said) =>
    /^sluice_group_lag_records\{stage="chunker"\} 0$/m.test(said),
  )
  for (const figure of [
    /^sluice_group_partitions\{stage="chunker",state="stalled"\} 0$/m,
    /^sluice_lag_unthrottled_records\{stage="processor"\} 0$/m,
    /^sluice_unique_index_valid 1$/m,
    /^sluice_offsets_beyond_ledger_partitions\{stage="chunker"\} 0$/m,
    new RegExp(
      `^sluice_partition_commit_age_seconds\\{stage="chunker",topic="${world.prefix}pages.processed",partition="0"\\} \\d`,
      'm',
    ),
    /^sluice_heartbeat_age_seconds\{stage="processor"\} \d/m,
    /^sluice_stage_alive\{stage="chunker"\} 1$/m,
    /^sluice_page_stored_seconds_count 3$/m,
    /^sluice_record_seconds_count\{stage="processor"\} 3$/m,
    /^sluice_embedding_request_seconds_count\{outcome="ok"\} [1-3]$/m,
    /^sluice_database_call_seconds_count\{kind="write",outcome="ok"\} \d+$/m,
    new RegExp(`^sluice_tenant_chunks_inserted_total\\{tenant="${world.tenants[0]}"\\} [1-9]`, 'm'),
    /^sluice_tenant_records_settled_total\{stage="chunker",tenant="other"\} 2$/m,
  ])
    t.match(text, figure)
  t.notMatch(text, /sluice_scrape_errors_total\{/, 'every source answered')
  await stages.end('SIGTERM')
})
