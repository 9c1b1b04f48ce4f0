/** `sluice replay reset STAGE`: moves the live group itself, with every instance of the stage stopped. */
import { UserError } from '../../streams/errors.ts'
import { parsePosition } from '../replay/positions.ts'
import { applyReset, planReset } from '../replay/reset.ts'
import type { ResetStep } from '../replay/reset.ts'
import { stageOf } from '../replay/wish.ts'
import { note, printRows } from './output.ts'
import type { Output } from './output.ts'
import { withServices } from './with-services.ts'

interface Options extends Output {
  readonly to?: string | undefined
  readonly partition?: number | undefined
  readonly yes?: boolean
}

/** Without --yes it only says what would happen. */
export async function reset(stageName: string, { to, partition, yes = false, json }: Options): Promise<void> {
  const stage = stageOf(stageName)
  if (to === undefined) throw new UserError('to where?', 'Say --to beginning, an offset, or a time.', 2)
  const position = parsePosition(to, '--to')
  await withServices(['kafka', 'postgres'], async ({ kafka, db, config }) => {
    const admin = kafka('reset').admin()
    await admin.connect()
    try {
      const options = { admin, db, prefix: config.topicPrefix, stage }
      const steps = await planReset(options, position, partition)
      if (yes) await applyReset(options, steps)
      printRows(
        steps.map((step) => ({ ...step, ledger: step.ledger ?? null, done: yes })),
        { json },
        (step: ResetStep) => describe(step),
      )
      note(yes ? 'done: the stage may be started again' : 'nothing was changed: say it again with --yes')
    } finally {
      await admin.disconnect()
    }
  })
}

function describe({ topic, partition, committed, to }: ResetStep): string {
  const from = committed ?? 'the beginning'
  const by = committed === null ? undefined : to - committed
  if (by === 0n) return `${topic}/${partition}: stays at ${to}`
  if (by !== undefined && by > 0n) return `${topic}/${partition}: ${from} → ${to}, ${by} records are SKIPPED`
  return `${topic}/${partition}: ${from} → ${to}${by === undefined ? '' : `, ${-by} records are done again`}`
}
