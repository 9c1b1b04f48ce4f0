/**
 * Text that makes careless patterns and loops look again and again at what they have seen. Nothing is timed: whatever
 * is quadratic takes minutes for a megabyte and runs into the test's own limit.
 */
import t from 'tap'
import { extract } from './extract.ts'

const MEGABYTE = 1_000_000
const UNITS = [' ', '\n', '1', '[', '`', '#', '|', '-', '_', '<', '[a](', '<!--', '> ']
const megabyteOf = (unit: string) => unit.repeat(MEGABYTE / unit.length)

const read = (text: string, contentType: string) =>
  extract({ body: Buffer.from(text), contentType, url: 'https://a.example/page' })
const textOf = ({ blocks }: ReturnType<typeof extract>) => blocks.map(({ text }) => text).join('\n')

t.test('a thousand groups of digits that end in a letter are code, those that end in none line numbers', async (t) => {
  const digits = '12 345\n'.repeat(1000)
  const page = read(`<h1>Log</h1><pre>${digits}</pre><pre>${digits}x</pre>`, 'text/html')
  t.same(
    page.blocks.filter(({ kind }) => kind === 'CODE').map(({ text }) => text),
    [`${digits}x`],
  )
})

t.test('a table cell of a thousand groups of digits that end in a letter is read', async (t) => {
  const digits = '12 345 '.repeat(1000)
  t.match(
    textOf(read(`<h1>Log</h1><table><tr><th>${digits}x</th><td>end</td></tr></table>`, 'text/html')),
    /345 x\nend$/,
  )
})

for (const unit of UNITS) {
  const name = JSON.stringify(unit)
  t.test(`a megabyte of ${name} between two words is read as html`, async (t) => {
    t.match(textOf(read(`<h1>c</h1><pre>first${megabyteOf(unit)}</pre>`, 'text/html')), /first/)
    // Half of it: as entities, a megabyte is more than is kept of a page.
    const half = megabyteOf(unit).slice(MEGABYTE / 2)
    t.match(read(`<title>title ${half} | b</title><p>c`, 'text/html').title, /^title/)
  })
  t.test(`a megabyte of ${name} between two words is read as Markdown`, async (t) => {
    const long = megabyteOf(unit)
    const page = read(`# first ${long} end\n\n- item ${long} end\n\n| cell ${long} end\n|---\n\nlast`, 'text/markdown')
    t.equal(page.blocks.at(-1)?.text.endsWith('last'), true)
  })
  t.test(`a megabyte of ${name} alone is read as Markdown and as plain text`, async (t) => {
    t.doesNotThrow(() => read(megabyteOf(unit), 'text/markdown'))
    t.match(textOf(read(`first\n\n${megabyteOf(unit)}\n\nlast`, 'text/plain')), /^first\n[^]*last$/)
  })
}

t.test('a megabyte of marks on one letter is read, with the first of them', async (t) => {
  const text = textOf(read(`a${'\u0301\u0323'.repeat(MEGABYTE / 2)}b`, 'text/plain'))
  t.match(text, /b$/)
  t.ok(text.length < 100)
})

t.test('a megabyte of hyphens names no language', async (t) => {
  t.equal(read(`<html lang="${megabyteOf('-')}"><p>Text.`, 'text/html').language, '')
})

t.test('a title of a megabyte that repeats a headline of half of it is cut', async (t) => {
  const { title } = read(`<title>${'a'.repeat(MEGABYTE)}</title><h1>b${'a'.repeat(MEGABYTE / 2)}</h1>`, 'text/html')
  t.equal(title, 'a'.repeat(1000))
})

t.test('twenty-five thousand children of one element, no two of a class, are read', async (t) => {
  const letters = (n: number) => n.toString(36).replace(/\d/g, (digit) => 'ABCDEFGHIJ'[Number(digit)] ?? '')
  const children = Array.from({ length: 25_000 }, (_, n) => `<p class="${letters(n)}">word`).join('')
  t.match(textOf(read(`<h1>first</h1>${children}`, 'text/html')), /word/)
})

t.test('a table row of twenty thousand cells is read', async (t) => {
  const cells = `<td>${'word '.repeat(20)}`.repeat(20_000)
  t.match(textOf(read(`<h1>first</h1><table><tr>${cells}</table>`, 'text/html')), /word \| word/)
})
