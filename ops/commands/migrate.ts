import { migrateDown, migrateUp, migrationStatus } from '../../connectors/postgres/migrate.ts'
import { withPostgres } from './with-services.ts'
import { printTable } from './output-table.ts'
import { note } from './output.ts'
import type { Output } from './output.ts'

interface Row {
  migration: string
  state: 'applied' | 'reverted' | 'would be reverted' | 'done' | 'pending'
}

interface Options extends Output {
  readonly all?: boolean
  /** Said to take all of them back; without it the command only lists them. */
  readonly yes?: boolean
}

/** `sluice migrate up|down|status`. */
export async function migrate(what: 'up' | 'down' | 'status', options: Options): Promise<void> {
  const { all = false, yes = false } = options
  const onlyTell = what === 'down' && all && !yes
  const rows = await withPostgres(async (db): Promise<Row[]> => {
    if (what === 'up') return (await migrateUp(db)).map((migration) => ({ migration, state: 'applied' }))
    if (onlyTell)
      return (await migrationStatus(db)).done
        .reverse()
        .map((migration) => ({ migration, state: 'would be reverted' as const }))
    if (what === 'down') return (await migrateDown(db, all)).map((migration) => ({ migration, state: 'reverted' }))
    const { done, pending } = await migrationStatus(db)
    if (pending.length > 0) process.exitCode = 1
    return [
      ...done.map((migration) => ({ migration, state: 'done' as const })),
      ...pending.map((migration) => ({ migration, state: 'pending' as const })),
    ]
  })
  if (rows.length === 0) note(what === 'down' ? 'nothing to take back' : 'up to date')
  printTable(rows, options, ({ migration, state }) => ({ state, migration }))
  if (onlyTell && rows.length > 0) note('nothing was changed: all knowledge would go; say it again with --yes')
}
