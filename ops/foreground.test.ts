import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import t from 'tap'

const fixture = join(import.meta.dirname, 'fixtures', 'foreground-life.ts')

/** Runs the fixture; `onLine` may send it signals, so that these come at a known point and not after a while. */
async function live(how: string, onLine: (line: string, kill: (signal: NodeJS.Signals) => void) => void = () => {}) {
  const child = spawn(process.execPath, [fixture, how], { stdio: ['ignore', 'pipe', 'pipe'] })
  const lines: string[] = []
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line)
    onLine(line, (signal) => child.kill(signal))
  })
  const [stderr, [code, signal]] = await Promise.all([
    text(child.stderr),
    once(child, 'close') as Promise<[number | null, string | null]>,
  ])
  return { lines, stderr, code, signal }
}

const allClosed = ['ready', 'second closing', 'first closed']

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  t.test(
    `${signal} closes everything, last opened first, and a command that runs until then has done well`,
    async (t) => {
      const run = await live('waits', (line, kill) => line === 'ready' && kill(signal))
      t.same(run.lines, allClosed)
      t.equal(run.code, 0)
      t.match(run.stderr, signal === 'SIGINT' ? /Ctrl-C: / : new RegExp(`${signal}: `))
    },
  )

t.test('a command that a signal cuts short ends with 130, all the same in order', async (t) => {
  const run = await live('cut-short', (line, kill) => line === 'ready' && kill('SIGINT'))
  t.same(run.lines, allClosed)
  t.equal(run.code, 130)
})

t.test('a second signal ends the process although a cleanup hangs', async (t) => {
  const run = await live('stuck', (line, kill) => (line === 'ready' || line === 'second closing') && kill('SIGINT'))
  t.same(run.lines, ['ready', 'second closing'])
  t.equal(run.code, 130)
})

t.test('an error is told with its hint and without a stack, and everything is closed', async (t) => {
  const run = await live('throws')
  t.same(run.lines, allClosed)
  t.equal(run.stderr, 'sluice: it went wrong\n  do this\n')
  t.equal(run.code, 1)
  t.equal((await live('misused')).code, 2)
})

t.test('a part that dies ends the command, though its work would go on', async (t) => {
  const run = await live('part-dies')
  t.same(run.lines, allClosed)
  t.match(run.stderr, /^sluice: a part died\n {2}LOG_LEVEL=debug /)
  t.equal(run.code, 1)
})

t.test('a cleanup that fails is named and keeps the others from nothing', async (t) => {
  const run = await live('sour', (line, kill) => line === 'ready' && kill('SIGTERM'))
  t.same(run.lines, allClosed)
  t.match(run.stderr, 'sluice: stopping second: it would not close')
})

t.test('work that ends by itself ends the command, with its own code if it set one', async (t) => {
  const run = await live('done')
  t.same(run.lines, allClosed)
  t.equal(run.code, 0)
  t.equal((await live('unwell')).code, 1)
})
