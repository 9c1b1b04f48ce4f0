/** A replay's consumer group, from the outside. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Admin } from 'kafkajs'

const TRIES = 10
const AGAIN_MS = 500

/** A member that has just left may still be counted. What cannot be deleted expires by itself, a week later. */
export async function deleteGroup(admin: Admin, group: string): Promise<boolean> {
  for (let attempt = 1; ; attempt += 1) {
    const type = await tryDelete(admin, group)
    if (type === undefined || type === 'GROUP_ID_NOT_FOUND') return true
    if (attempt === TRIES) return false
    await sleep(AGAIN_MS)
  }
}

/** @returns why not; undefined: it is gone. */
async function tryDelete(admin: Admin, group: string): Promise<string | undefined> {
  try {
    await admin.deleteGroups([group])
    return undefined
  } catch (error) {
    const [failed] = (error as { groups?: { error?: { type?: string } }[] }).groups ?? []
    return failed?.error?.type ?? String((error as { type?: string }).type)
  }
}
