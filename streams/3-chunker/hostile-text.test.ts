/**
 * Text that makes careless patterns and loops look again and again at what they have seen. Nothing is timed: whatever
 * is quadratic takes minutes for a megabyte and runs into the test's own limit.
 */
import t from 'tap'
import { chunkBlocks } from './chunk.ts'
import { sourceLayout } from './source-spans.ts'

const MEGABYTE = 1_000_000
const SIZES = { childTokens: 150, parentTokens: 800 }
const UNITS = [' ', '\n', '1', '[', '`', '#', '|', '-', '_', '<', '[a](']

for (const unit of UNITS) {
  const long = unit.repeat(MEGABYTE / unit.length)
  const name = JSON.stringify(unit)
  t.test(`a megabyte of ${name} between two words is cut into chunks`, async (t) => {
    for (const kind of ['PARAGRAPH', 'CODE'] as const) {
      const chunks = chunkBlocks([{ kind, text: `first${long}last`, level: 0, lang: '' }], SIZES)
      t.match(chunks.at(0)?.content, /^first/)
      t.match(chunks.at(-1)?.content, /last$/)
    }
  })
  t.test(`a megabyte of ${name} between two words is laid out as a file`, async (t) => {
    for (const start of ['first', '# first', '== first', '- first', '> first', '| first'])
      for (const format of ['markdown', 'text'] as const) {
        const text = `${start}${long}last\n\nend`
        const { spans } = sourceLayout(text, format)
        t.equal(text.slice(spans[0]?.start).startsWith(start), true)
        t.equal(spans.at(-1)?.end, text.length)
      }
  })
}

t.test('code of a megabyte begins with its first line that is not empty, indentation kept', async (t) => {
  const text = `${' \n'.repeat(MEGABYTE)}  first\nlast`
  t.equal(chunkBlocks([{ kind: 'CODE', text, level: 0, lang: '' }], SIZES)[0]?.content, '  first\nlast')
})
