/** `sluice tenant list | delete | restore`: whose knowledge is here, and the end of it. `tenant limit` is in control.ts. */
import { createTenants } from '../../connectors/postgres/tenants.ts'
import type { TenantContents } from '../../connectors/postgres/tenants.ts'
import { UserError } from '../../streams/errors.ts'
import type { ControlState } from '../../streams/throttle/control-state.ts'
import { plainText } from '../dlq/plain-text.ts'
import { withControl } from './control.ts'
import { printTable } from './output-table.ts'
import { note, printRows } from './output.ts'
import type { Output } from './output.ts'
import { withPostgres } from './with-services.ts'

/** NDJSON: `{"tenant","status","pages","chunks","tokensBought","runningCrawls","lastUpdate","limits","paused"}`. */
export async function list({ json }: Output): Promise<void> {
  await withControl(
    async ({ db }, channel) => {
      const rows = await createTenants(db).list()
      const state = channel.state()
      const shown = rows.map(({ lastUpdateMs, ...row }) => ({
        ...row,
        lastUpdate: lastUpdateMs === null ? null : new Date(lastUpdateMs).toISOString(),
        ...heldBack(row.tenant, state),
      }))
      printTable(shown, { json }, ({ tenant, limits, paused, lastUpdate, tokensBought, runningCrawls, ...row }) => ({
        tenant: plainText(tenant),
        ...row,
        crawling: runningCrawls,
        tokens: tokensBought,
        'last update': lastUpdate,
        limits: limits.map(({ budget, value }) => `${budget} ${value ?? 'unlimited'}`).join(', '),
        paused: paused ? 'yes' : '',
      }))
      if (rows.length === 0) note('there are no tenants yet: `sluice crawl --tenant acme https://…` makes one')
    },
    ['postgres'],
  )
}

/** Of commands that name this tenant; those for everybody hold it back too, and are not repeated on each line. */
function heldBack(tenant: string, { limits, pauses }: ControlState) {
  return {
    limits: [...limits.values()].filter((one) => one.tenant === tenant).map(({ budget, value }) => ({ budget, value })),
    paused: [...pauses.values()].some((one) => one.tenant === tenant),
  }
}

/** Without `yes` it only says what would go. Said again, it does what a killed run left. */
export async function remove(tenant: string, { yes = false, json }: Output & { yes?: boolean }): Promise<void> {
  requireName(tenant)
  await withPostgres(async (db) => {
    const tenants = createTenants(db)
    const before = await tenants.contents(tenant)
    if (yes) await tenants.delete(tenant)
    printRows([{ tenant, ...before, done: yes }], { json }, () => describe(tenant, before, yes))
    if (json) return
    if (!before.known) note(`nothing was ever stored of ${tenant}: is that its name? \`sluice tenant list\` has them`)
    if (yes) note(`records of ${tenant} are refused from now on; \`sluice tenant restore\` takes that back`)
    else note('nothing was changed: say it again with --yes')
  })
}

export async function restore(tenant: string, { json }: Output): Promise<void> {
  requireName(tenant)
  await withPostgres(async (db) => {
    if (!(await createTenants(db).restore(tenant)))
      throw new UserError(`${tenant} is not deleted`, '`sluice tenant list` shows which tenants are.')
    printRows([{ tenant, status: 'active' }], { json }, () => `${tenant}: its records are taken again`)
    note('what was deleted or refused comes back with a crawl, or a replay of what Kafka still holds')
  })
}

function requireName(tenant: string): void {
  if (tenant.trim() === '') throw new UserError('the tenant must not be empty', 'Name one: acme', 2)
}

function describe(tenant: string, { sources, chunks, crawls, urls, webPages }: TenantContents, yes: boolean): string {
  const what = `${sources} pages with ${chunks} chunks, ${crawls} crawls with ${urls} URLs, the memory of ${webPages} pages`
  return `${tenant}: ${what} ${yes ? 'deleted' : 'would be deleted'}`
}
