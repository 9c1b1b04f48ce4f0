/** `sluice replay status` and `replay cancel`. */
import { createReplays } from '../../connectors/postgres/replays.ts'
import { UserError } from '../../streams/errors.ts'
import { cleanUp } from '../replay/run.ts'
import { describeState, isInterrupted, stateOf } from '../replay/state.ts'
import { knownReplay } from '../replay/take-over.ts'
import { note, printRows } from './output.ts'
import type { Output } from './output.ts'
import { withServices } from './with-services.ts'

export async function status(id: string | undefined, output: Output): Promise<void> {
  await withServices(['postgres'], async ({ db }) => {
    const replays = createReplays(db)
    const rows = id === undefined ? await replays.list() : [await knownReplay(replays, id)]
    if (rows.length === 0) note('no replay was ever asked for')
    printRows(
      rows.map((row) => stateOf(row)),
      output,
      describeState,
    )
  })
}

/** What it has done so far stays; its process ends within 2 s. */
export async function cancel(id: string, output: Output): Promise<void> {
  await withServices(['kafka', 'postgres'], async ({ db, kafka }) => {
    const replays = createReplays(db)
    const row = await knownReplay(replays, id)
    if (!(await replays.end(id, 'cancelled')))
      throw new UserError(`replay ${id} is ${row.status} already`, 'See `sluice replay status`.')
    if (isInterrupted(row)) {
      const admin = kafka('replay').admin()
      await admin.connect()
      await cleanUp(row, replays, admin)
      await admin.disconnect()
    }
    printRows([{ id, status: 'cancelled' }], output, () => `replay ${id} is cancelled`)
  })
}
