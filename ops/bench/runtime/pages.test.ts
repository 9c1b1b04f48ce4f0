import { deflateSync } from 'node:zlib'
import t from 'tap'
import { processedPage } from './pages.ts'

const textOf = (index: number, characters: number) =>
  processedPage(index, characters)
    .blocks.map(({ text }) => text)
    .join('')

void t.test('a page has as much text as asked for, in blocks like a page’s paragraphs', async (t) => {
  t.equal(textOf(1, 4_096).length, 4_096)
  t.equal(processedPage(1, 4_096).blocks.length, 11)
  t.equal(textOf(1, 100).length, 100)
})

void t.test('pages are the same at every run, and none is another', async (t) => {
  t.strictSame(processedPage(7, 500), processedPage(7, 500))
  const pages = Array.from({ length: 100 }, (_, index) => processedPage(index, 200))
  t.equal(new Set(pages.map(({ source_id }) => source_id)).size, 100)
  t.equal(new Set(pages.map(({ blocks }) => blocks[0]!.text)).size, 100)
})

void t.test('the text shrinks as prose does: compression would otherwise cost too little or too much', async (t) => {
  const text = Array.from({ length: 50 }, (_, index) => textOf(index, 4_096)).join('')
  const factor = text.length / deflateSync(text).length
  t.ok(factor > 2 && factor < 5, `deflate makes it ${factor.toFixed(1)} times smaller`)
})
