/** Leasing: which URLs this worker fetches next. Hosts first, then their rows, and nothing is ever waited for. */
import type { Knex } from 'knex'
import type { LeaseBatch, LeasedUrl } from '../../streams/1-crawler/ports.ts'

export interface LeaseRequest {
  readonly owner: string
  readonly limit: number
  readonly leaseMs: number
  /** Tenants whose pages stay where they are. */
  readonly except: readonly string[]
  readonly moment: Date
  readonly slotsOf: (host: string) => number
  readonly floorMs: (host: string) => number
}

interface HostRow {
  host: string
  delay_ms: number
  backoff_ms: number
  backoff_at: Date | null
}

interface LeasedRow {
  tenant_id: string
  crawl_id: string
  url: string
  host: string
  depth: number
  attempts: number
  max_depth: number
  chunk_type: string
  etag: string | null
  last_modified: string | null
  body_hash: string | null
  version: string | null
  page_chunk_type: string | null
  traceparent: string
  tracestate: string
}

export async function leaseRows(trx: Knex.Transaction, request: LeaseRequest): Promise<LeaseBatch> {
  const hosts = await lockDueHosts(trx, request)
  if (hosts.length === 0) return { leases: [], nextInMs: await nextInMs(trx, request.moment) }
  const rows = await takeRows(trx, hosts, request)
  await postponeHosts(trx, hosts, rows, request)
  const byName = new Map(hosts.map((host) => [host.host, host]))
  const leases = rows.map((row) => leasedUrl(row, byName.get(row.host)!, request.owner))
  return { leases, nextInMs: leases.length < request.limit ? await nextInMs(trx, request.moment) : 0 }
}

/** Longest waiting first, so that a host with many pages does not keep others from their turn. */
async function lockDueHosts(trx: Knex.Transaction, { moment, limit, except }: LeaseRequest): Promise<HostRow[]> {
  // Hosts of excepted tenants alone stay due for ever, and would fill every turn.
  const others = `and exists (
    select from crawl_frontier f where f.host = crawl_hosts.host and f.state in ('queued', 'leased')
    and f.not_before <= :moment and f.tenant_id <> all(cast(:except as text[])))`
  const { rows } = await trx.raw<{ rows: HostRow[] }>(
    `select host, delay_ms, backoff_ms, backoff_at from crawl_hosts where next_at <= :moment
     ${except.length > 0 ? others : ''} order by next_at limit :limit for update skip locked`,
    { moment, limit, except: [...except] },
  )
  return rows
}

/**
 * A statement of its own, after the hosts are locked: only then does its snapshot show every lease at these hosts, and
 * counting what is in flight is exact. Rows whose lease ran out are due again by `not_before` alone.
 */
async function takeRows(trx: Knex.Transaction, hosts: HostRow[], request: LeaseRequest): Promise<LeasedRow[]> {
  const { moment, leaseMs, owner, limit, slotsOf, except } = request
  const { rows } = await trx.raw<{ rows: LeasedRow[] }>(
    `with wanted as (
       select w.host, w.slots - (
         select count(*) from crawl_frontier b where b.host = w.host and b.state = 'leased' and b.not_before > :moment
       ) as free
       from unnest(cast(:hosts as text[]), cast(:slots as int[])) as w (host, slots)
     ), picked as materialized (
       select f.* from wanted w cross join lateral (
         select tenant_id, crawl_id, url_hash from crawl_frontier
         where host = w.host and state in ('queued', 'leased') and not_before <= :moment
           and tenant_id <> all(cast(:except as text[]))
         order by not_before, depth, created_at limit greatest(0, w.free)
         for update skip locked
       ) f limit :limit
     ), leased as (
       update crawl_frontier f set state = 'leased', lease_owner = :owner, attempts = attempts + 1, not_before = :until
       from picked p
       where f.tenant_id = p.tenant_id and f.crawl_id = p.crawl_id and f.url_hash = p.url_hash
       returning f.*
     )
     select l.tenant_id, l.crawl_id, l.url, l.host, l.depth, l.attempts, j.max_depth, j.chunk_type, j.traceparent, j.tracestate,
            w.etag, w.last_modified, w.body_hash, w.version, w.chunk_type as page_chunk_type
     from leased l
     join crawl_jobs j on j.tenant_id = l.tenant_id and j.id = l.crawl_id
     left join web_pages w on w.tenant_id = l.tenant_id and w.url_hash = l.url_hash`,
    {
      moment,
      until: new Date(moment.getTime() + leaseMs),
      hosts: hosts.map(({ host }) => host),
      slots: hosts.map(({ host }) => slotsOf(host)),
      owner,
      limit,
      except: [...except],
    },
  )
  return rows
}

/** A host with a free slot is due with its next row; a full one when a lease of its own ends, or a page completes. */
async function postponeHosts(trx: Knex.Transaction, hosts: HostRow[], taken: LeasedRow[], request: LeaseRequest) {
  const { moment, slotsOf, floorMs } = request
  const busy = new Set(taken.map(({ host }) => host))
  const pauseMs = (row: HostRow) => (busy.has(row.host) ? Math.max(floorMs(row.host), row.delay_ms) : 0)
  await trx.raw(
    `update crawl_hosts h set polite_at = greatest(h.polite_at, w.until), next_at = greatest(h.polite_at, w.until, coalesce((
       select min(f.not_before) from crawl_frontier f where f.host = h.host and (f.state = 'leased' or
         (f.state = 'queued' and w.slots > (
           select count(*) from crawl_frontier b where b.host = h.host and b.state = 'leased' and b.not_before > :moment
         )))
     ), 'infinity'))
     from unnest(cast(:hosts as text[]), cast(:until as timestamptz[]), cast(:slots as int[])) as w (host, until, slots)
     where h.host = w.host`,
    {
      moment,
      hosts: hosts.map(({ host }) => host),
      until: hosts.map((row) => new Date(moment.getTime() + pauseMs(row))),
      slots: hosts.map(({ host }) => slotsOf(host)),
    },
  )
}

async function nextInMs(trx: Knex.Transaction, moment: Date): Promise<number | undefined> {
  const { rows } = await trx.raw<{ rows: { next_at: Date | null }[] }>(
    `select next_at from crawl_hosts where next_at < 'infinity' order by next_at limit 1`,
  )
  const next = rows[0]?.next_at
  return next ? Math.max(0, next.getTime() - moment.getTime()) : undefined
}

const leasedUrl = (row: LeasedRow, host: HostRow, owner: string): LeasedUrl => ({
  tenantId: row.tenant_id,
  crawlId: row.crawl_id,
  url: row.url,
  depth: row.depth,
  maxDepth: row.max_depth,
  chunkType: row.chunk_type,
  attempts: row.attempts,
  owner,
  host: row.host,
  hostState: { delayMs: host.delay_ms, backoffMs: host.backoff_ms, backoffAtMs: host.backoff_at?.getTime() ?? 0 },
  version: BigInt(row.version ?? 0),
  previous:
    row.body_hash !== null && row.page_chunk_type === row.chunk_type
      ? { etag: row.etag ?? '', lastModified: row.last_modified ?? '', bodyHash: row.body_hash }
      : undefined,
  ...(row.traceparent && {
    trace: { traceparent: row.traceparent, ...(row.tracestate && { tracestate: row.tracestate }) },
  }),
})
