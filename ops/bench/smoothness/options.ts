/** `sluice bench smoothness [options]`. */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { UserError } from '../../../streams/errors.ts'
import { policies } from './baselines.ts'
import { scenarios } from './scenarios.ts'

export interface SmoothnessOptions {
  /** Ids of baselines and scenarios, in the order of the report. */
  readonly only: readonly string[]
  readonly postgres: boolean
  /** Folder of the report. */
  readonly out: string
  /** No run: the report once more, from the recordings in `out`. */
  readonly reportOnly: boolean
}

export const baselineIds = Object.keys(policies)
export const allIds: readonly string[] = [...baselineIds, ...scenarios.map(({ id }) => id)]
/** What shows the point within two minutes. */
const quickIds = ['a', 'c', ...scenarios.filter(({ quick }) => quick).map(({ id }) => id)]

export const usage = `Options of smoothness:
  --only a,b,d1,…   only these: ${allIds.join(', ')}
  --quick           a short subset: ${quickIds.join(', ')}
  --postgres        on a real PostgreSQL in place of PGlite
  --out DIR         where report.html, figures.json and recordings/ go; default: bench in the data folder
  --report-only     no run: the report once more, from the recordings in DIR`

/** @throws UserError for what is not known. */
export function parseOptions(args: readonly string[], dataDir: string): SmoothnessOptions {
  const { values } = parsed(args)
  const wanted = values.only?.split(',').map((id) => id.trim())
  const unknown = wanted?.filter((id) => !allIds.includes(id)) ?? []
  if (unknown.length > 0) throw new UserError(`no scenario ${unknown.join(', ')}`, usage, 2)
  const chosen = wanted ?? (values.quick ? quickIds : allIds)
  return {
    only: allIds.filter((id) => chosen.includes(id)),
    postgres: values.postgres,
    out: values.out ?? join(dataDir, 'bench'),
    reportOnly: values['report-only'],
  }
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        only: { type: 'string' },
        quick: { type: 'boolean', default: false },
        postgres: { type: 'boolean', default: false },
        out: { type: 'string' },
        'report-only': { type: 'boolean', default: false },
      },
    })
  } catch (error) {
    throw new UserError((error as Error).message, usage, 2)
  }
}
