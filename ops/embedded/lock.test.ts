import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { lockFolder } from './lock.ts'

const TAKER = join(import.meta.dirname, 'fixtures', 'take-lock.ts')

async function taker(folder: string) {
  const child = spawn(process.execPath, [TAKER, folder], { stdio: ['pipe', 'pipe', 'inherit'] })
  const [line] = await once(child.stdout, 'data')
  return { child, said: String(line).trim() }
}

t.test('of several that start at the same moment one gets the folder', async (t) => {
  const folder = t.testdir()
  const takers = await Promise.all(Array.from({ length: 5 }, () => taker(folder)))
  t.equal(takers.filter(({ said }) => said === 'taken').length, 1)
  t.equal(takers.filter(({ said }) => said.startsWith('refused')).length, 4)
  for (const { child } of takers) child.kill('SIGKILL')
})

t.test('a second owner is refused with the pid of the first', async (t) => {
  const folder = t.testdir()
  const { child, said } = await taker(folder)
  t.equal(said, 'taken')
  t.throws(() => lockFolder(folder), { name: 'UserError', message: new RegExp(`pid ${child.pid}\\)`) })
  child.kill('SIGKILL')
})

t.test('a folder whose owner was killed is free at once', async (t) => {
  const folder = t.testdir()
  const { child } = await taker(folder)
  child.kill('SIGKILL')
  await once(child, 'exit')
  lockFolder(folder)()
})

t.test('a process cannot take a folder twice, and can after giving it up', async (t) => {
  const folder = t.testdir()
  const unlock = lockFolder(folder)
  t.throws(() => lockFolder(folder), { message: new RegExp(`pid ${process.pid}`) })
  unlock()
  lockFolder(folder)()
})
