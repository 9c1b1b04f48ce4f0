/** Which process holds how much of which budget, and the function that renews a process' leases. */
import type { Knex } from 'knex'

/**
 * One live row a process and budget; Σ held of live rows ≤ the total, at no instant more. Rows are rewritten every second:
 * a page half empty keeps that within the page, without a new index entry.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table budget_leases (
      resource text collate "C" not null,
      holder text collate "C" not null,
      held double precision not null check (held >= 0),
      want double precision not null,
      weight double precision not null,
      total double precision not null,
      owned text[] not null,
      partitions integer not null,
      covered double precision not null,
      sequence bigint not null,
      contact_at timestamptz not null,
      renewed_at timestamptz not null,
      expires_at timestamptz not null,
      primary key (resource, holder)
    ) with (fillfactor = 50)`)
  await knex.raw(renewFunction)
  await knex.raw('revoke all on function sluice_renew_budget_leases from public')
}

/**
 * All of it in one statement: a client that is stopped between two would hold the lock for as long. Each statement in a
 * volatile function sees what was committed before it began, so after the lock everything is seen; a CTE would see what
 * was there before the wait. The time is read after the lock for the same reason. The lock is held until the commit, so
 * resources are locked one by one, in one order.
 *
 * A live row becomes smaller only because its holder asks for less: an answer may get lost, and its holder would go on
 * using what had been given to others. A lower total, or floors to be left alone, take effect as the holders follow.
 *
 * Floors: partitions that no process vouches for whose last received answer is within the grace may belong to one that
 * fell silent and lives off its floor. Their part of the total is not leased. The asker vouches for itself at once: if it
 * does not get this answer, it does not use this lease either.
 */
const renewFunction = `
  create function sluice_renew_budget_leases(
    p_holder text, p_sequence bigint, p_seen_ms double precision, p_asks jsonb, p_ttl interval, p_grace interval,
    p_now timestamptz default null
  )
  returns table (
    resource text, holder text, held double precision, want double precision, weight double precision,
    total double precision, covered double precision, sequence bigint, expires_in_ms double precision,
    now_ms double precision
  )
  language plpgsql volatile set lock_timeout = '1s'
  as $$
  #variable_conflict use_column
  declare
    moment timestamptz;
  begin
    if current_setting('transaction_isolation') <> 'read committed' then
      raise exception 'leases need read committed: an older snapshot does not show what was given out meanwhile';
    end if;
    perform pg_advisory_xact_lock(1819042149, lock.key) from (
      select distinct hashtext(a.resource) as key from jsonb_to_recordset(p_asks) as a (resource text) order by 1
    ) lock;
    moment := coalesce(p_now, clock_timestamp());

    delete from budget_leases b using jsonb_to_recordset(p_asks) as a (resource text)
    where b.resource = a.resource and b.expires_at < moment - interval '10 minutes';

    insert into budget_leases as mine
    select ask.resource, p_holder, given.held, ask.want, ask.weight, ask.total, ask.owned, ask.partitions, cover.part,
           p_sequence, coalesce(to_timestamp(p_seen_ms / 1000), '-infinity'), moment,
           case when ask.leaving and given.held = 0 then moment else moment + p_ttl end
    from jsonb_to_recordset(p_asks) as ask (
      resource text, asked double precision, whole boolean, want double precision, weight double precision,
      total double precision, owned text[], partitions integer, leaving boolean
    )
    cross join lateral (
      select coalesce(sum(b.held) filter (where b.holder <> p_holder), 0) as others,
             coalesce(sum(b.held) filter (where b.holder = p_holder), 0) as own,
             least(ask.total, min(b.total) filter (where b.holder <> p_holder)) as total
      from budget_leases b where b.resource = ask.resource and b.expires_at > moment
    ) live
    cross join lateral (
      select count(distinct p.key) as vouched, greatest(ask.partitions, max(p.partitions)) as partitions from (
        select unnest(ask.owned) as key, 0 as partitions
        union all
        select key, b.partitions from budget_leases b left join unnest(b.owned) as key on true
        where b.resource = ask.resource and b.holder <> p_holder and b.contact_at > moment - p_grace
      ) p
    ) known
    cross join lateral (
      select case when known.partitions = 0 then 1
                  else least(1, known.vouched / known.partitions::double precision) end as part
    ) cover
    cross join lateral (
      select case when ask.whole then floor(live.total * cover.part + 1e-9) else live.total * cover.part end as capacity
    ) leasable
    cross join lateral (
      select greatest(0, least(ask.asked, greatest(leasable.capacity - live.others, live.own))) as held
    ) given
    on conflict (resource, holder) do update set
      held = excluded.held, want = excluded.want, weight = excluded.weight, total = excluded.total,
      owned = excluded.owned, partitions = excluded.partitions, covered = excluded.covered,
      sequence = excluded.sequence, contact_at = excluded.contact_at, renewed_at = excluded.renewed_at,
      expires_at = excluded.expires_at
    -- A request that was overtaken must not undo what its holder has been told since.
    where mine.sequence < excluded.sequence;

    return query
      select b.resource, b.holder, b.held, b.want, b.weight, b.total, b.covered, b.sequence,
             (extract(epoch from b.expires_at - moment) * 1000)::double precision,
             floor(extract(epoch from moment) * 1000)::double precision
      from budget_leases b
      where b.resource in (select a.resource from jsonb_to_recordset(p_asks) as a (resource text))
        and b.expires_at > moment
      order by b.resource, b.holder;
  end $$`

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop function sluice_renew_budget_leases')
  await knex.raw('drop table budget_leases')
}
