/** Hosts: one row each, shared by all tenants, since politeness is owed to the host whoever asks. */
import type { Knex } from 'knex'
import type { HostState } from '../../streams/1-crawler/ports.ts'

/**
 * Recomputes when a lease can next find a row at these hosts. The rows are locked first, by name, and the frontier is
 * read in a later statement: what others inserted before giving up the lock is then seen, and nothing due is forgotten.
 * @param change what else to write to the hosts, under their locks
 */
export async function refreshHosts(trx: Knex.Transaction, names: readonly string[], change?: () => Promise<void>) {
  const hosts = [...new Set(names)].sort()
  if (hosts.length === 0) return
  await trx.raw('insert into crawl_hosts (host) select unnest(?::text[]) on conflict do nothing', [hosts])
  await trx.raw('select 1 from crawl_hosts where host = any(?::text[]) order by host for update', [hosts])
  await change?.()
  await trx.raw(
    `update crawl_hosts h set next_at = greatest(h.polite_at, coalesce((
       select min(f.not_before) from crawl_frontier f where f.host = h.host and f.state in ('queued', 'leased')
     ), 'infinity'))
     where h.host = any(?::text[])`,
    [hosts],
  )
}

/** Never shortens a pause: where several pages of a host are in flight, a late 200 must not undo another's back-off. */
export async function saveHost(trx: Knex.Transaction, host: string, state: HostState, pauseMs: number, moment: Date) {
  await trx.raw(
    `update crawl_hosts set
       delay_ms = :delay,
       polite_at = greatest(polite_at, cast(:until as timestamptz)),
       backoff_ms = case when backoff_at is null or backoff_at < :raised then :backoff else backoff_ms end,
       backoff_at = greatest(backoff_at, :raised)
     where host = :host`,
    {
      host,
      delay: state.delayMs,
      until: new Date(moment.getTime() + pauseMs),
      backoff: state.backoffMs,
      raised: new Date(state.backoffAtMs),
    },
  )
}
