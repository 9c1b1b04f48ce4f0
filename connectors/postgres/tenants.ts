/**
 * Tenants: their tombstones, the lock that makes these hold, and what is stored of each. A tenant is deleted in two steps:
 * its row becomes a tombstone under the tenant's lock, which waits for every write that began before; from then on all
 * writes for it are refused, so what is left can be deleted without holding anybody up.
 */
import type { Knex } from 'knex'
import { UserError } from '../../streams/errors.ts'
import { classifyPostgres } from './errors.ts'
import { deleteCrawls } from './frontier-jobs.ts'

/** Any number: names this family of locks among the database's advisory locks. */
const LOCK = 1_952_804_974
/** Rows of one transaction; the locks on a page's rows are held that long. */
const ROWS_PER_DELETE = 5_000

/**
 * For writers: holds off deletions of these tenants until the transaction ends. Not a lock on the rows: two writers that
 * count tokens there would deadlock over them. In one order, because whoever waits holds what it has.
 * @returns those that are deleted. Those not known yet are known from now on.
 */
export async function lockTenants(trx: Knex.Transaction, tenantIds: readonly string[]): Promise<Set<string>> {
  const ids = [...new Set(tenantIds)].sort()
  if (ids.length === 0) return new Set()
  await trx.raw(
    `select pg_advisory_xact_lock_shared(${LOCK}, lock.key)
     from (select distinct hashtext(id) as key from unnest(?::text[]) as t (id) order by 1) lock`,
    [ids],
  )
  await trx('tenants')
    .insert(ids.map((id) => ({ id })))
    .onConflict('id')
    .ignore()
  // A statement of its own, after the lock: it sees the tombstone of whoever held it before.
  const rows = await trx('tenants').select('id').whereIn('id', ids).where('status', 'deleted')
  return new Set(rows.map(({ id }: { id: string }) => id))
}

export interface TenantRow {
  readonly tenant: string
  readonly status: 'active' | 'deleted'
  /** Pages that are searchable, and their rows of all kinds. */
  readonly pages: number
  readonly chunks: number
  readonly tokensBought: number
  readonly runningCrawls: number
  /** Of its newest page; null: it has none. */
  readonly lastUpdateMs: number | null
}

/** What is stored of a tenant and would go. */
export interface TenantContents {
  readonly known: boolean
  readonly deleted: boolean
  readonly sources: number
  readonly chunks: number
  readonly crawls: number
  readonly urls: number
  readonly webPages: number
}

export interface Tenants {
  /** By name. Counts come from one row a page, not from the chunks. */
  readonly list: () => Promise<TenantRow[]>
  readonly contents: (tenant: string) => Promise<TenantContents>
  /** Leaves the tombstone alone. Said again after a crash, it does the rest. Ends early when the tenant is restored. */
  readonly delete: (tenant: string) => Promise<void>
  /**
   * Takes the tombstone away: records are taken again; those refused meanwhile do not come back by themselves.
   * @returns false: there was none. @throws UserError while its deletion is not finished.
   */
  readonly restore: (tenant: string) => Promise<boolean>
}

export function createTenants(db: Knex): Tenants {
  return {
    list: () => classified(() => list(db)),
    contents: (tenant) => classified(() => contents(db, tenant)),
    delete: (tenant) =>
      classified(async () => {
        await bury(db, tenant)
        for (const table of ['tenant_knowledge', 'sources']) await deleteRows(db, table, tenant)
        await deleteRows(db, 'crawl_frontier', tenant)
        await whileDeleted(db, tenant, async (trx) => {
          await deleteCrawls(trx, tenant)
          await trx('tenants').where({ id: tenant }).update({ name: '', limits: '{}', tokens_bought: 0 })
        })
      }),
    restore: (tenant) =>
      classified(async () => {
        return db.transaction(async (trx) => {
          await lockExclusively(trx, tenant)
          const deleted = await trx<{ id: string; status: string }>('tenants').where({ id: tenant, status: 'deleted' })
          if (deleted.length === 0) return false
          // What is left would be searchable again in part, and stored work would pass for done.
          if (await hasRows(trx, tenant))
            throw new UserError(
              `the deletion of ${tenant} is not finished`,
              `Run \`sluice tenant delete ${tenant} --yes\` again, then restore it.`,
            )
          await trx('tenants').where({ id: tenant }).update({ status: 'active' })
          return true
        })
      }),
  }
}

/** Waits for writes and deleting batches that began before, and holds off others until the transaction ends. */
const lockExclusively = (trx: Knex.Transaction, tenant: string) =>
  trx.raw(`select pg_advisory_xact_lock(${LOCK}, hashtext(?::text))`, [tenant])

/** The exclusive side of the lock, for one statement only. */
async function bury(db: Knex, tenant: string): Promise<void> {
  await db.transaction(async (trx) => {
    await lockExclusively(trx, tenant)
    await trx('tenants').insert({ id: tenant, status: 'deleted' }).onConflict('id').merge(['status'])
  })
}

async function deleteRows(db: Knex, table: string, tenant: string): Promise<void> {
  for (;;) {
    const rowCount = await whileDeleted(db, tenant, async (trx) => {
      const deletion = await trx.raw<{ rowCount: number }>(
        `delete from ?? where ctid = any(array(select ctid from ?? where tenant_id = ? limit ${ROWS_PER_DELETE}))`,
        [table, table, tenant],
      )
      return deletion.rowCount
    })
    if (rowCount === undefined || rowCount < ROWS_PER_DELETE) return
  }
}

/**
 * A restored tenant's rows are new ones: the lock keeps a restoration from coming between the look and the deletion.
 * @returns undefined: it is not deleted any more, and nothing was done.
 */
const whileDeleted = <T>(db: Knex, tenant: string, work: (trx: Knex.Transaction) => Promise<T>) =>
  db.transaction(async (trx) => ((await lockTenants(trx, [tenant])).has(tenant) ? await work(trx) : undefined))

async function hasRows(trx: Knex.Transaction, tenant: string): Promise<boolean> {
  for (const table of ['tenant_knowledge', 'sources', 'crawl_frontier', 'crawl_jobs', 'web_pages'])
    if ((await trx(table).where({ tenant_id: tenant }).limit(1).select('tenant_id')).length > 0) return true
  return false
}

async function list(db: Knex): Promise<TenantRow[]> {
  const { rows } = await db.raw<{ rows: Record<string, string | null>[] }>(
    `select t.id, t.status, t.tokens_bought, coalesce(s.pages, 0) as pages, coalesce(s.chunks, 0) as chunks,
       coalesce(j.running, 0) as running, extract(epoch from s.updated_at) * 1000 as updated_ms
     from tenants t
     left join (
       select tenant_id, count(*) filter (where status = 'active') as pages, sum(chunk_count) as chunks,
         max(updated_at) as updated_at
       from sources where status <> 'new' group by tenant_id
     ) s on s.tenant_id = t.id
     left join (
       select tenant_id, count(*) as running from crawl_jobs where status = 'running' group by tenant_id
     ) j on j.tenant_id = t.id
     order by t.id`,
  )
  return rows.map((row) => ({
    tenant: row['id']!,
    status: row['status'] as TenantRow['status'],
    pages: Number(row['pages']),
    chunks: Number(row['chunks']),
    tokensBought: Number(row['tokens_bought']),
    runningCrawls: Number(row['running']),
    lastUpdateMs: row['updated_ms'] === null ? null : Math.round(Number(row['updated_ms'])),
  }))
}

async function contents(db: Knex, tenant: string): Promise<TenantContents> {
  const count = async (table: string) =>
    Number((await db(table).where({ tenant_id: tenant }).count({ n: '*' }))[0]!['n'])
  const row = await db<{ id: string; status: string }>('tenants').where({ id: tenant }).first('status')
  return {
    known: row !== undefined,
    deleted: row?.status === 'deleted',
    sources: await count('sources'),
    chunks: await count('tenant_knowledge'),
    crawls: await count('crawl_jobs'),
    urls: await count('crawl_frontier'),
    webPages: await count('web_pages'),
  }
}

const classified = <T>(work: () => Promise<T>): Promise<T> =>
  work().catch((error: unknown) => {
    throw classifyPostgres(error)
  })
