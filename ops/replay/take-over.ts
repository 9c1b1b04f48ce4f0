/** Going on with a replay that another process has left behind. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ReplayRow, Replays } from '../../connectors/postgres/replays.ts'
import { UserError } from '../../streams/errors.ts'
import type { StageName } from '../../streams/topology.ts'
import type { Config } from '../config.ts'
import { BEAT_MS, STALE_MS } from './run.ts'
import { isInterrupted } from './state.ts'
import { configOf } from './wish.ts'

interface Options {
  readonly owner: string
  readonly replays: Replays
  readonly config: Config
  readonly say: (line: string) => void
}

/**
 * A killed process' heart is stale after 10 s: a younger one is looked at until it beats, or does not.
 * @throws UserError when it beats, when the replay has ended, or when it began under another configuration.
 */
export async function takeOver(row: ReplayRow, { owner, replays, config, say }: Options): Promise<ReplayRow> {
  const stage = row.stage as StageName
  if (row.status !== 'running')
    throw new UserError(`replay ${row.id} is ${row.status}`, 'Say its command again to start anew.')
  if (row.wish.config !== configOf(stage, config))
    throw new UserError(
      `replay ${row.id} was started under another configuration of the ${stage}`,
      `Its first part would keep that one. Cancel it (sluice replay cancel ${row.id}) and start anew.`,
    )
  if (!isInterrupted(row)) say('waiting to see whether its process lives')
  let seen = row
  while (!isInterrupted(seen)) {
    await sleep(BEAT_MS / 2)
    const now = await knownReplay(replays, row.id)
    if (now.owner !== row.owner || now.status !== 'running' || now.heartbeatAgeMs < seen.heartbeatAgeMs)
      throw new UserError(`replay ${row.id} is being worked on by ${now.owner}`, 'See `sluice replay status`.')
    seen = now
  }
  if (!(await replays.takeOver(row.id, row.owner, owner, STALE_MS)))
    throw new UserError(
      `replay ${row.id} was taken over by another process a moment ago`,
      'See `sluice replay status`.',
    )
  return knownReplay(replays, row.id)
}

/** @throws UserError when there is none. */
export async function knownReplay(replays: Replays, id: string): Promise<ReplayRow> {
  const row = await replays.get(id)
  if (row) return row
  throw new UserError(`no replay ${id}`, 'sluice replay status lists them.', 2)
}
