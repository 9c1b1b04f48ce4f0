import t from 'tap'
import { bar, createProgress } from './progress.ts'

function terminal({ isTTY = false, columns = 80 } = {}) {
  const written: string[] = []
  return { isTTY, columns, written, write: (text: string) => written.push(text) }
}
const stages = (done: number) => [
  { name: 'crawled', done, total: 10 },
  { name: 'searchable', done: 0, total: 0 },
]

t.test('a bar is as full as its share, whatever the numbers', async (t) => {
  t.equal(bar({ name: 'crawled', done: 5, total: 10 }), `crawled    ${'█'.repeat(14)}${'░'.repeat(14)}    5 of 10`)
  t.match(bar({ name: 'crawled', done: 0, total: 0 }), `${'░'.repeat(28)}    0 of 0`)
  t.match(bar({ name: 'crawled', done: 12, total: 10 }), `${'█'.repeat(28)}   12 of 10`, 'ahead of what was known')
})

t.test('no line is as wide as the terminal, so that none wraps', async (t) => {
  for (let columns = 3; columns <= 100; columns++) {
    const text = `  ${bar({ name: 'searchable', done: 1234, total: 5678 }, columns)}`
    t.ok(text.length < columns || columns <= 3, `${columns}: ${text}`)
  }
})

t.test('on a terminal each drawing replaces the one before', async (t) => {
  const out = terminal({ isTTY: true })
  const progress = createProgress(out)
  progress.show(stages(1))
  progress.show(stages(2))
  t.notMatch(out.written[0], /\u001b\[\d+A/, 'the first one has nothing to replace')
  t.ok(out.written[1]!.startsWith('\u001b[2A'), 'two lines up')
  t.equal(out.written[1]!.split('\u001b[2K').length, 3, 'both lines are cleared first')
})

t.test(
  'elsewhere plain lines come at most every two seconds, only when something changed, the last one always',
  async (t) => {
    const out = terminal()
    let nowMs = 0
    const progress = createProgress(out, () => nowMs)
    progress.show(stages(1))
    nowMs = 1_999
    progress.show(stages(2))
    t.same(out.written, ['  crawled 1 of 10 · searchable 0 of 0\n'])
    nowMs = 2_000
    progress.show(stages(3))
    nowMs = 9_000
    progress.show(stages(3))
    t.equal(out.written.length, 2)
    nowMs = 9_500
    progress.show(stages(4))
    t.same(out.written.length, 3)
    progress.show(stages(10))
    progress.end()
    progress.end()
    t.equal(out.written.length, 4)
    t.match(out.written[3], 'crawled 10 of 10')
    t.notMatch(out.written.join(''), '\u001b', 'no control codes in a log')
  },
)

t.test('nothing is drawn when nothing was shown', async (t) => {
  for (const isTTY of [true, false]) {
    const out = terminal({ isTTY })
    createProgress(out).end()
    t.equal(out.written.join(''), '')
  }
})
