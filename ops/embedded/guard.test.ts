import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { isAlive } from './endpoints.ts'
import { spawnGuarded } from './guard.ts'

const PARENT = join(import.meta.dirname, 'fixtures', 'guarding-parent.ts')

/** A process of another parent can only be asked whether it is there. */
async function gone(pid: number): Promise<boolean> {
  for (let asked = 0; asked < 200 && isAlive(pid); asked += 1) await delay(25)
  return !isAlive(pid)
}

for (const kind of ['willing', 'stubborn'])
  t.test(`a ${kind} child ends when its parent is killed with SIGKILL`, async (t) => {
    const log = join(t.testdir(), 'log')
    const parent = spawn(process.execPath, [PARENT, log, kind], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [line] = await once(parent.stdout, 'data')
    const pid = Number(String(line))
    t.ok(isAlive(pid))
    parent.kill('SIGKILL')
    t.ok(await gone(pid))
  })

t.test('stop ends the child with the wanted signal and tells how it ended', async (t) => {
  const logFile = join(t.testdir(), 'log')
  const script = "trap 'echo asked; exit 7' TERM; echo ready >&2; while :; do sleep 0.05; done"
  const child = await spawnGuarded({ command: 'sh', args: ['-c', `${script}`], logFile, stdout: 'pipe' })
  t.equal(child.hasExited(), false)
  await logged(logFile, 'ready')
  const said = once(child.stdout!, 'data')
  await child.stop()
  t.equal(await child.exited, 'exit code 7')
  t.equal(String((await said)[0]), 'asked\n')
  t.equal(child.hasExited(), true)
  await child.stop()
})

t.test('a child that dies by itself is reported with its exit code or signal', async (t) => {
  const logFile = join(t.testdir(), 'log')
  const run = (script: string) => spawnGuarded({ command: 'sh', args: ['-c', script], logFile })
  t.equal(await (await run('echo last words; exit 3')).exited, 'exit code 3')
  t.equal(await (await run('kill -KILL $$')).exited, 'signal 9')
  t.match(readFileSync(logFile, 'utf8'), 'last words')
})

t.test('a program that does not exist is an exit code, not a hang', async (t) => {
  const child = await spawnGuarded({ command: 'no-such-program', args: [], logFile: join(t.testdir(), 'log') })
  t.equal(await child.exited, 'exit code 127')
})

t.test('the child is in a session of its own: Ctrl-C in the terminal does not reach it', async (t) => {
  const child = await spawnGuarded({
    command: 'sh',
    args: ['-c', 'ps -o sid= -p $$; ps -o sid= -p ' + process.pid],
    logFile: join(t.testdir(), 'log'),
    stdout: 'pipe',
  })
  const [output] = await Promise.all([child.stdout!.toArray(), child.exited])
  const [own, ours] = Buffer.concat(output as Buffer[])
    .toString()
    .trim()
    .split(/\s+/)
  t.ok(own && ours)
  t.not(own, ours)
})

async function logged(file: string, text: string): Promise<void> {
  for (let asked = 0; asked < 200 && !readFileSync(file, 'utf8').includes(text); asked += 1) await delay(25)
}
