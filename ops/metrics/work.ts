/** What the stages do, counted as it happens. */
import type { Counter } from 'prom-client'
import { stageNames } from '../../streams/topology.ts'
import type { PipelineObserver } from '../pipeline.ts'
import type { Probe } from '../probes.ts'
import type { RequestReport } from '../../connectors/embeddings/embeddings.ts'
import type { Families } from './families.ts'
import { createTenantLabels } from './tenants.ts'

export interface MetricsSettings {
  /** METRICS_TENANTS */
  readonly tenants: readonly string[]
  /** METRICS_TOP_TENANTS */
  readonly topTenants: number
}

/** Few: each bucket is a series a label set. From a statement to a record's own deadline of 45 s. */
const WORK_SECONDS = [0.01, 0.05, 0.25, 1, 5, 20, 60]
const CALL_SECONDS = [0.005, 0.025, 0.1, 0.5, 2, 10]
/** Waiting is part of it: a backlog of hours is no fault. */
const FRESHNESS_SECONDS = [1, 5, 15, 60, 300, 1_800, 7_200, 43_200]

export function registerWork(families: Families, settings: MetricsSettings, now: () => number) {
  const byStage = (name: string, help: string, ...labels: string[]) =>
    families.counter({ name, unit: 'records', help, labels: ['stage', ...labels] })
  const settled = byStage('records_settled', 'Records settled, by what became of them.', 'outcome')
  const failures = byStage('record_failures', 'Records that failed and were retried or dead-lettered.', 'code')
  const seconds = families.histogram({
    name: 'record_seconds',
    unit: 'seconds',
    help: 'From the beginning of the work on a record to its durable effect.',
    labels: ['stage'],
    buckets: WORK_SECONDS,
  })
  const fetches = families.counter({
    name: 'pages_fetched',
    unit: 'pages',
    help: 'Pages that the crawler ended with.',
    labels: ['outcome'],
  })
  const rows = (name: string, help: string) => families.counter({ name, unit: 'rows', help })
  const inserted = rows('chunks_inserted', 'Rows inserted into tenant_knowledge.')
  const ignored = rows('chunks_ignored', 'Rows that were there already and that the unique index ignored.')
  const deleted = rows('chunks_deleted', 'Rows deleted from tenant_knowledge.')
  const stored = families.histogram({
    name: 'page_stored_seconds',
    unit: 'seconds',
    help: 'From the fetch of a page to the COMMIT of its chunks, all waiting included.',
    buckets: FRESHNESS_SECONDS,
  })
  const pauses = families.counter({
    name: 'partition_pauses',
    unit: 'pauses',
    help: 'Times that a partition was paused.',
    labels: ['stage', 'reason'],
  })
  const resumes = families.counter({
    name: 'partition_resumes',
    unit: 'resumes',
    help: 'Times that a partition was resumed.',
    labels: ['stage'],
  })
  const requests = families.histogram({
    name: 'embedding_request_seconds',
    unit: 'seconds',
    help: 'Requests to the embeddings API, by their answer: ok, throttled (429), rejected (4xx), unavailable (5xx), cut.',
    labels: ['outcome'],
    buckets: CALL_SECONDS,
  })
  const inputs = families.counter({
    name: 'embedding_inputs',
    unit: 'texts',
    help: 'Texts in requests to the embeddings API, those that failed included.',
  })
  const calls = families.histogram({
    name: 'database_call_seconds',
    unit: 'seconds',
    help: 'Statements and transactions in Postgres, without the wait at the gate.',
    labels: ['kind', 'outcome'],
    buckets: CALL_SECONDS,
  })
  const tenantRecords = byStage('tenant_records_settled', 'Records settled, of the tenants that are named.', 'tenant')
  const tenantChunks = families.counter({
    name: 'tenant_chunks_inserted',
    unit: 'rows',
    help: 'Rows inserted into tenant_knowledge, of the tenants that are named.',
    labels: ['tenant'],
  })
  const tenantTokens = families.counter({
    name: 'tenant_embedding_tokens',
    unit: 'tokens',
    help: 'Tokens billed by the embeddings API, of the tenants that are named.',
    labels: ['tenant'],
  })

  const tenants = createTenantLabels({
    ...{ allowed: settings.tenants, top: settings.topTenants },
    onDrop: (tenant) => {
      for (const stage of stageNames) tenantRecords.remove({ stage, tenant })
      for (const counter of [tenantChunks, tenantTokens] as Counter[]) counter.remove({ tenant })
    },
  })
  const observer: PipelineObserver = {
    settled: (stage, outcome, { code, tenantId, ms }) => {
      settled.inc({ stage, outcome })
      seconds.observe({ stage }, ms / 1000)
      if (code) failures.inc({ stage, code })
      if (tenantId !== undefined) tenantRecords.inc({ stage, tenant: tenants.labelOf(tenantId) })
    },
    stored: (_stage, write, result) => {
      if (write.type !== 'page') return
      inserted.inc(result.inserted)
      ignored.inc(result.ignored)
      deleted.inc(result.deleted)
      if (result.inserted > 0) tenantChunks.inc({ tenant: tenants.labelOf(write.tenantId, 0) }, result.inserted)
      if (result.change === 'applied') stored.observe(Math.max(0, now() / 1000 - Number(write.fetchedAt) / 1e6))
    },
    paused: (stage, _at, reason) => pauses.inc({ stage, reason }),
    resumed: (stage) => resumes.inc({ stage }),
    crawled: (_lease, { outcome }) => fetches.inc({ outcome }),
  }
  const probe: Probe = {
    embeddingRequest: ({ status, latencyMs, inputs: count }) => {
      requests.observe({ outcome: outcomeOf(status) }, latencyMs / 1000)
      inputs.inc(count)
    },
    tokensBought: (tenantId, tokens) => tenantTokens.inc({ tenant: tenants.labelOf(tenantId, 0) }, tokens),
    databaseCall: ({ kind, ok, ms }) => calls.observe({ kind, outcome: ok ? 'ok' : 'failed' }, ms / 1000),
  }
  return { observer, probe }
}

function outcomeOf(status: RequestReport['status']): string {
  if (status === 'cut') return 'cut'
  if (status === 429) return 'throttled'
  return status >= 500 ? 'unavailable' : status >= 400 ? 'rejected' : 'ok'
}
