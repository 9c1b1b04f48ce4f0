import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Knex } from 'knex'
import type { LeasedUrl, PageResult } from '../streams/1-crawler/ports.ts'
import type { RunningStage } from '../streams/runtime/run-stage.ts'
import type { PageWrite } from '../streams/writes.ts'
import type { LagRow } from './lag/rows.ts'
import { createMetrics } from './metrics.ts'
import type { Followed, Metrics } from './metrics.ts'
import { documentPath, withTable } from './metrics/document.ts'
import type { Status } from './status.ts'

const NOW = 1_700_000_000_000

const partition = {
  ...{ topic: 'pages.processed', partition: 3, next: 10n, end: 15n, inFlight: 2, settledAhead: 4 },
  ...{ oldestRecordMs: NOW - 7_000, committedAtMs: NOW - 9_000 },
  ...{ reasons: [{ reason: 'rate', sinceMs: NOW }], waits: ['rate', 'operator', 'slots'] },
}
const stage = {
  name: 'chunker',
  partitions: () => [partition],
  heartbeatAgeMs: () => 1_500,
  isAlive: () => true,
} as unknown as RunningStage
const status: Status = {
  settled: () => {},
  stages: () => [
    {
      ...{ stage: 'chunker', lag: 5, perSecond: 1, etaSeconds: 5, oldestAgeSeconds: 7, pausedSeconds: { rate: 2 } },
      partitions: [{ ...partition, next: '10', end: '15', lag: 5, oldestAgeSeconds: 7 }],
    },
  ],
  throttle: () => ({
    gates: [{ gate: 'database', inFlight: 1, limit: 8, waiting: 0, waitedMs: { slots: 1_000 } }],
    budgets: [{ name: 'database_slots', kind: 'slots', total: 8, held: 4, allowed: 4, used: 1 }],
    breakers: [{ dependency: 'postgres', kind: 'open' }],
    pauses: [],
  }),
} as unknown as Status
const row = (given: Partial<LagRow>): LagRow => ({
  ...{
    stage: 'chunker',
    group: 'sluice.chunker',
    topic: 'pages.processed',
    partition: 0,
    committed: 5,
    end: 9,
    lag: 4,
  },
  ...{ oldestAgeMs: 60_000, state: 'running', reasons: [], etaMs: 2_000 },
  ...given,
})
/** What the queries of a scrape are answered with. */
const fakeDb = (
  ledger: object[] = [{ consumer_group: 'sluice.chunker', topic: 'pages.processed', partition: 0, next_offset: '5' }],
) =>
  Object.assign(() => ({ select: async () => ledger, orderBy: () => ({ limit: async () => [] }) }), {
    raw: async () => ({ rows: [] }),
  }) as unknown as Knex
const fleet = {
  lag: async () => [
    row({}),
    row({ partition: 1, lag: 6, state: 'stalled', oldestAgeMs: 90_000 }),
    row({ partition: 2, lag: 100, state: 'throttled' }),
  ],
  deadLetters: async () => [
    { topic: 'pages.crawled' as const, tenant: 'a', code: 'too_large', open: 3, oldestAgeSeconds: 50 },
    { topic: 'pages.crawled' as const, tenant: 'b', code: 'too_large', open: 2, oldestAgeSeconds: 70 },
  ],
  db: fakeDb(),
}
const write = { type: 'page', tenantId: 'acme', fetchedAt: BigInt(NOW - 30_000) * 1000n } as PageWrite

function everything(metrics: Metrics, followed: Followed = { status, stages: [stage], fleet }) {
  const { observer, probe } = metrics
  observer.settled?.('chunker', 'retry', { code: 'embedding_rejected', tenantId: 'acme', ms: 300 })
  observer.stored?.('chunker', write, { change: 'applied', rows: 3, inserted: 3, deleted: 1, ignored: 2 })
  observer.paused?.('chunker', partition, 'rate')
  observer.resumed?.('chunker', partition)
  observer.crawled?.({} as LeasedUrl, { outcome: 'fetched' } as PageResult)
  probe.embeddingRequest({ status: 429, latencyMs: 20, inputs: 3, tokens: 90, resend: false })
  probe.tokensBought('acme', 90)
  probe.databaseCall({ kind: 'write', ok: true, ms: 4 })
  metrics.draining()
  metrics.follow(followed)
}
const made = () => createMetrics({ tenants: [], topTenants: 10 }, { now: () => NOW, scrapeDeadlineMs: 50 })

t.test('ops/docs/metrics.md lists each metric with its type, labels, unit and meaning, and no other', async (t) => {
  const document = readFileSync(documentPath, 'utf8')
  t.equal(document, withTable(document, made().families()), 'else: node ops/metrics/document.ts')
})

t.test('names end in their unit, counters in _total, and say nothing of a language or a client', async (t) => {
  const families = made().families()
  t.equal(new Set(families.map(({ name }) => name)).size, families.length, 'each once')
  for (const { name, type, unit, help } of families) {
    t.match(name, /^sluice_[a-z]+(_[a-z]+)+$/)
    t.equal(name.endsWith('_total'), type === 'counter', name)
    if (unit === 'seconds') t.match(name, /_seconds(_total)?$/)
    t.match(help, /\.$/, name)
  }
})

t.test('what each label is set to is what is declared, for every metric that can be set', async (t) => {
  const metrics = made()
  everything(metrics)
  const text = await metrics.text()
  for (const { name, type, labels } of metrics.families()) {
    const lines = [...text.matchAll(new RegExp(`^${name}(?:_bucket|_sum|_count)?(?:\\{(.*)\\})? \\S+$`, 'gm'))]
    if (/replay|scrape_errors/.test(name)) continue
    t.ok(lines.length > 0, name)
    for (const [, set = ''] of lines) {
      const used = [...set.matchAll(/(\w+)="/g)]
        .map(([, label]) => label!)
        .filter((one) => type !== 'histogram' || one !== 'le')
      t.strictSame(used.sort(), [...labels].sort(), name)
    }
  }
})

t.test('the figures are those of the stages, of the fleet and of the clients', async (t) => {
  const metrics = made()
  everything(metrics)
  const text = await metrics.text()
  const at = '{stage="chunker",topic="pages.processed",partition="3"}'
  for (const line of [
    'sluice_records_settled_total{stage="chunker",outcome="retry"} 1',
    'sluice_chunks_ignored_total 2',
    'sluice_page_stored_seconds_sum 30',
    'sluice_record_seconds_bucket{le="0.25",stage="chunker"} 0',
    'sluice_record_seconds_bucket{le="1",stage="chunker"} 1',
    'sluice_embedding_request_seconds_count{outcome="throttled"} 1',
    `sluice_partition_lag_records${at} 5`,
    `sluice_partition_oldest_record_age_seconds${at} 7`,
    `sluice_partition_watermark_gap_records${at} 4`,
    `sluice_partition_commit_age_seconds${at} 9`,
    'sluice_partition_held{stage="chunker",topic="pages.processed",partition="3",reason="rate"} 1',
    'sluice_partition_held{stage="chunker",topic="pages.processed",partition="3",reason="operator"} 1',
    'sluice_heartbeat_age_seconds{stage="chunker"} 1.5',
    'sluice_breaker_state{dependency="postgres"} 2',
    'sluice_throttled_seconds_total{gate="database",reason="slots"} 1',
    'sluice_group_lag_records{stage="chunker"} 110',
    'sluice_group_oldest_record_age_seconds{stage="chunker"} 90',
    'sluice_lag_unthrottled_records{stage="chunker"} 10',
    'sluice_group_partitions{stage="chunker",state="stalled"} 1',
    'sluice_partition_stalled{stage="chunker",topic="pages.processed",partition="1"} 1',
    'sluice_dead_letters_open{topic="pages.crawled",code="too_large"} 5',
    'sluice_dead_letters_oldest_age_seconds{topic="pages.crawled",code="too_large"} 70',
    'sluice_offsets_beyond_ledger_partitions{stage="chunker"} 2',
  ])
    t.ok(text.includes(`${line}\n`), line)
  t.match(text, /^sluice_unique_index_valid 0$/m, 'no index in this database')
  t.equal(text.match(/^sluice_partition_held\{/gm)?.length, 2, 'each reason once, and not that this process is busy')
})

t.test('a broker that is away hangs no scrape: its gauges are absent, and that is counted', async (t) => {
  const metrics = made()
  let asked = 0
  const lag = () => {
    asked += 1
    return new Promise<LagRow[]>(() => {})
  }
  everything(metrics, {
    status,
    stages: [stage],
    fleet: { ...fleet, lag, deadLetters: () => Promise.reject(new Error('away')) },
  })
  const text = await metrics.text()
  t.notMatch(text, /^sluice_(group_|lag_unthrottled|dead_letters)[^\n]* \d/m, 'absent, not 0')
  t.match(text, 'sluice_partition_lag_records{', 'what the process knows by itself is there')
  t.match(text, 'sluice_scrape_errors_total{source="lag"} 1')
  t.match(text, 'sluice_scrape_errors_total{source="dead_letters"} 1')
  const before = asked
  t.match(await metrics.text(), 'sluice_scrape_errors_total{source="lag"} 2')
  t.equal(asked, before, 'what has not answered is not asked again on top')
})

t.test('what a source said is told as long as it answers, and again once it is back', async (t) => {
  const metrics = made()
  let away = true
  const lag = () => (away ? Promise.reject(new Error('away')) : fleet.lag())
  everything(metrics, { fleet: { ...fleet, lag } })
  t.notMatch(await metrics.text(), 'sluice_group_lag_records{')
  away = false
  t.match(await metrics.text(), 'sluice_group_lag_records{stage="chunker"} 110')
  away = true
  t.notMatch(
    await metrics.text(),
    'sluice_group_lag_records{',
    'and what was known once is not told as if it were so now',
  )
})

t.test('an answer that came too late for its scrape is told at the next ones, for half a minute', async (t) => {
  let nowMs = NOW
  const metrics = createMetrics({ tenants: [], topTenants: 10 }, { now: () => nowMs, scrapeDeadlineMs: 50 })
  const answers: PromiseWithResolvers<LagRow[]>[] = []
  const lag = () => {
    answers.push(Promise.withResolvers())
    return answers.at(-1)!.promise
  }
  metrics.follow({ fleet: { ...fleet, lag, db: fakeDb([]) } })
  const told = (text: string) => text.includes('sluice_group_lag_records{stage="chunker"} 4\n')
  t.notOk(told(await metrics.text()))
  for (const { resolve } of answers) resolve([row({})])
  await Promise.all(answers.map(({ promise }) => promise))
  const both = await Promise.all([metrics.text(), metrics.text()])
  t.strictSame(both.map(told), [true, true], 'scrapes that overlap do not blank each other')
  t.match(both[0], 'sluice_scrape_errors_total{source="lag"} 1', 'one scrape went without it')
  nowMs += 30_000
  t.notOk(told(await metrics.text()))
})

t.test('dead letters with foreign codes are together', async (t) => {
  const metrics = made()
  const deadLetters = async () =>
    Array.from({ length: 500 }, (_, index) => ({
      ...{ topic: 'pages.crawled' as const, tenant: 'a', open: index === 7 ? 90 : 1, oldestAgeSeconds: 1 },
      code: `code-${index}`,
    }))
  metrics.follow({ fleet: { ...fleet, deadLetters } })
  const lines = [...(await metrics.text()).matchAll(/^sluice_dead_letters_open\{.*code="([^"]+)"\} (\d+)$/gm)]
  t.equal(lines.length, 41)
  t.equal(lines.find(([, code]) => code === 'code-7')?.[2], '90')
  t.equal(lines.find(([, code]) => code === 'other')?.[2], '460')
})

t.test('10,000 tenants make as many series as eleven', async (t) => {
  const metrics = made()
  const busy = Array.from({ length: 5 }, (_, index) => `busy-${index}`)
  for (let index = 0; index < 10_000; index += 1) {
    const tenants = [`small-${index}`, busy[index % 5]!]
    for (const tenantId of tenants) {
      metrics.observer.settled?.('chunker', 'applied', { tenantId, ms: 1 })
      metrics.observer.stored?.(
        'chunker',
        { ...write, tenantId },
        { change: 'applied', rows: 1, inserted: 1, deleted: 0, ignored: 0 },
      )
      metrics.probe.tokensBought(tenantId, 10)
    }
  }
  const text = await metrics.text()
  for (const name of ['records_settled', 'chunks_inserted', 'embedding_tokens']) {
    const lines = [...text.matchAll(new RegExp(`^sluice_tenant_${name}_total\\{.*tenant="([^"]+)"\\} (\\d+)$`, 'gm'))]
    t.ok(lines.length <= 11, `${name}: ${lines.length}`)
    for (const tenant of busy)
      t.ok(
        lines.some(([, one]) => one === tenant),
        `${name}: ${tenant} is named`,
      )
    t.ok(
      lines.some(([, one]) => one === 'other'),
      name,
    )
  }
  t.equal(text.split('\n').filter((line) => line.includes('small-')).length <= 5 * 3, true)
})

t.test('Node’s own metrics are there too', async (t) => {
  t.match(await made().text(), 'sluice_process_process_cpu_seconds_total')
  t.ok(readFileSync(join(import.meta.dirname, 'docs', 'metrics.md'), 'utf8').includes('sluice_process_'))
})
