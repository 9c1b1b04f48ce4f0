/** Replays one after the other for as long as the live pages are measured, each through another size of chunks. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createPostgres } from '../../../connectors/postgres/client.ts'
import { createReplays } from '../../../connectors/postgres/replays.ts'
import { defaults } from '../../config.ts'
import { DIMENSIONS } from '../smoothness/stated-api.ts'
import type { BenchScene } from './replay.ts'

const cli = join(import.meta.dirname, '..', '..', 'bin', 'sluice.mjs')
/** Each differs from the one before, so that every page changes again. */
const SIZES = ['90', '130'] as const

/** Resolves once the first is on its way. */
export async function startReplaying(scene: BenchScene, round: number, upTo: string) {
  const { environment, folder } = scene
  const url = scene.receivers.databaseUrl
  const db = createPostgres({ ...defaults.postgres, url, poolMax: 1 }, DIMENSIONS)
  const replays = createReplays(db)
  const counted = async () => (await replays.list()).reduce((sum, { figures }) => sum + figures.records, 0)
  const before = await counted()
  let over = false
  let end = () => {}
  const all = (async () => {
    for (let turn = round; !over; turn += 1) {
      const log = openSync(join(folder, 'replays.log'), 'a')
      const env = { ...environment, CHUNK_CHILD_TOKENS: SIZES[turn % SIZES.length]! }
      const args = [cli, 'replay', 'chunker', '--from', 'beginning', '--to', upTo]
      const child = spawn(process.execPath, args, { env, stdio: ['ignore', log, log] })
      end = () => void child.kill('SIGTERM')
      closeSync(log)
      await once(child, 'exit')
    }
  })()
  while ((await counted()) === before) await sleep(200)
  return {
    /** @returns records replayed. */
    stop: async (): Promise<number> => {
      over = true
      end()
      await all
      const after = await counted()
      await db.destroy()
      return after - before
    },
  }
}
