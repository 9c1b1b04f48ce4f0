/**
 * One owner per data folder. The lock is an exclusive transaction on a SQLite file: the kernel drops it the moment the
 * owner dies, however it dies, so there is no stale lock to recognise and nothing to race for. Rejected: a file that
 * holds a pid (two takers of a dead owner's file can both win, and pids are used again).
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { errorMessage, UserError } from '../../streams/errors.ts'

const HINT = 'set SLUICE_DATA_DIR to a folder that can be written'

/** @returns a function that gives the folder up. @throws UserError naming the owner's pid. */
export function lockFolder(dataDir: string): () => void {
  const pidFile = join(dataDir, 'stack.pid')
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(join(dataDir, 'stack.lock'), { timeout: 0 })
    database.exec('begin exclusive')
  } catch (error) {
    database?.close()
    if (!isBusy(error)) throw new UserError(`the data folder ${dataDir} cannot be locked: ${errorMessage(error)}`, HINT)
    throw new UserError(
      `another embedded stack (pid ${ownerPid(pidFile) ?? 'unknown'}) runs on ${dataDir}`,
      'use it, stop it, or set SLUICE_DATA_DIR to another folder',
    )
  }
  writeFileSync(pidFile, `${process.pid}\n`)
  const held = database
  return () => {
    rmSync(pidFile, { force: true })
    held.close()
  }
}

/** SQLITE_BUSY and its extended codes. */
const isBusy = (error: unknown) => ((error as { errcode?: number }).errcode ?? 0) % 256 === 5

/** For the message alone: the owner writes it just after it took the lock. */
function ownerPid(pidFile: string): number | undefined {
  try {
    return Number(readFileSync(pidFile, 'utf8')) || undefined
  } catch {
    return undefined
  }
}
