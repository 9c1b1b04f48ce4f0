import fc from 'fast-check'
import t from 'tap'
import type { Block, BlockKind } from '../../schemas/generated/types.ts'
import { chunkBlocks } from './chunk.ts'
import type { Chunk } from './chunk.ts'
import { storable } from './layout.ts'
import { countTokens } from './tokens.ts'

const SIZES = { childTokens: 180, parentTokens: 1000 }
const block = (kind: BlockKind, text: string, level = 0): Block => ({ kind, text, level, lang: '' })
const paragraph = (text: string) => block('PARAGRAPH', text)
const heading = (level: number, text: string) => block('HEADING', text, level)
const children = (chunks: readonly Chunk[]) => chunks.filter(({ parentIndex }) => parentIndex !== null)
const parents = (chunks: readonly Chunk[]) => chunks.filter(({ parentIndex }) => parentIndex === null)
const prose = (sentences: number, seed = 'alpha') =>
  Array.from({ length: sentences }, (_, i) => `Sentence ${i} about ${seed} says that the river is wide and slow.`).join(
    ' ',
  )

t.test('a short page is one parent with one child', async (t) => {
  const chunks = chunkBlocks([heading(1, 'Tea'), paragraph('Green tea is steeped at 70 °C.')], SIZES)
  t.match(chunks, [
    { index: 0, parentIndex: null, headingPath: ['Tea'] },
    { index: 1, parentIndex: 0, headingPath: ['Tea'], content: 'Tea\n\nGreen tea is steeped at 70 °C.', bodyOffset: 5 },
  ])
  t.equal(chunks.length, 2)
})

t.test('no blocks, or blocks of white space, give no chunks', async (t) => {
  t.same(chunkBlocks([], SIZES), [])
  t.same(chunkBlocks([paragraph(' \n\t'), block('CODE', '\n \n')], SIZES), [])
})

t.test('long text becomes children near the size aimed at, grouped under parents', async (t) => {
  const chunks = chunkBlocks(
    Array.from({ length: 40 }, (_, i) => paragraph(prose(11, `topic ${i}`))),
    SIZES,
  )
  const sizes = children(chunks).map(({ tokens }) => tokens)
  const mean = sizes.reduce((a, b) => a + b) / sizes.length
  t.ok(mean > 140 && mean <= 200, `mean ${mean}`)
  t.ok(Math.max(...sizes) <= 218)
  for (const { tokens } of parents(chunks).slice(0, -1)) t.ok(tokens >= 700 && tokens <= 1215, `parent of ${tokens}`)
})

t.test('sentences stay whole', async (t) => {
  for (const { content } of children(chunkBlocks([paragraph(prose(60))], SIZES))) {
    t.match(content, /^Sentence /)
    t.match(content, /slow\.$/)
  }
})

t.test('abbreviations and wrapped lines do not end a sentence', async (t) => {
  const wrapped = prose(40).replaceAll('about alpha', 'that Dr. Smith and J. K. Row\nwrote, e.g. Mrs. Jones,')
  for (const { content } of children(chunkBlocks([paragraph(wrapped)], SIZES))) t.match(content, /^Sentence /)
})

t.test('Chinese and Japanese sentences stay whole', async (t) => {
  for (const sentence of ['这条河流很宽，水流缓慢，两岸都是树木。', 'この川は広くて、ゆっくり流れています。']) {
    const chunks = children(chunkBlocks([paragraph(sentence.repeat(60))], SIZES))
    t.ok(chunks.length > 3)
    for (const { content, tokens } of chunks) {
      t.match(content, /。$/)
      t.ok(tokens <= 218)
    }
  }
})

t.test('every child carries the headings that hold for all of it', async (t) => {
  const chunks = children(
    chunkBlocks(
      [
        heading(1, 'Manual'),
        heading(2, 'Install'),
        paragraph(prose(20)),
        heading(2, 'Run'),
        paragraph(prose(20, 'run')),
      ],
      SIZES,
    ),
  )
  for (const { headingPath, content } of chunks)
    t.same(headingPath, ['Manual', content.includes('about run') ? 'Run' : 'Install'])
})

t.test('small sections are merged under the heading they share', async (t) => {
  const faq = Array.from({ length: 12 }, (_, i) => [heading(2, `Question ${i}?`), paragraph(`Answer ${i}, short.`)])
  const chunks = children(chunkBlocks([heading(1, 'Help'), ...faq.flat()], SIZES))
  t.ok(chunks.length <= 2)
  t.same(chunks[0]?.headingPath, ['Help'])
})

t.test('a heading is never left alone at a chunk’s end', async (t) => {
  const sections = Array.from({ length: 12 }, (_, i) => [heading(2, `Part ${i}`), paragraph(prose(5 + i))])
  for (const { content } of chunkBlocks(sections.flat(), SIZES)) t.notMatch(content, /Part \d+$/)
})

t.test('a table is split between rows and repeats its header row', async (t) => {
  const rows = Array.from({ length: 80 }, (_, i) => `Row ${i} | ${i * 3} pieces | in stock at the warehouse`)
  const chunks = children(chunkBlocks([block('TABLE', ['Name | Count | State', ...rows].join('\n'))], SIZES))
  t.ok(chunks.length > 3)
  for (const { content, tokens } of chunks) {
    t.match(content, /^Name \| Count \| State\nRow /)
    t.match(content, /warehouse$/)
    t.ok(tokens <= 218)
    t.equal(tokens, countTokens(content))
  }
})

t.test('code is split between lines and keeps its indentation', async (t) => {
  const code = Array.from({ length: 40 }, (_, i) => `function f${i}() {\n  return ${i}\n}`).join('\n\n')
  const chunks = children(chunkBlocks([block('CODE', code)], SIZES))
  t.ok(chunks.length > 1)
  for (const { content } of chunks) {
    t.match(content, /^function f\d+\(\) \{\n {2}return/)
    t.match(content, /\}$/)
  }
  t.equal(chunks.map(({ content }) => content).join('\n\n'), code)
})

t.test('a sentence inserted into a long page leaves most of its chunks as they were', async (t) => {
  const blocks = Array.from({ length: 60 }, (_, i) => paragraph(prose(3 + ((i * 7) % 9), `subject${i} matter${i * i}`)))
  const contents = (some: readonly Block[]) => children(chunkBlocks(some, SIZES)).map(({ content }) => content)
  const before = new Set(contents(blocks))
  const edited = blocks.map((each, i) => (i === 30 ? paragraph(`An editor added this today. ${each.text}`) : each))
  const fresh = contents(edited).filter((content) => !before.has(content))
  t.ok(fresh.length >= 1 && fresh.length <= before.size / 5, `${fresh.length} of ${before.size}`)
})

t.test('a megabyte without a space, a sentence of a megabyte: bounded chunks in bounded time', async (t) => {
  const began = performance.now()
  for (const text of ['x'.repeat(1_000_000), 'word '.repeat(200_000), '漢'.repeat(300_000), '😀'.repeat(100_000)]) {
    const chunks = children(chunkBlocks([paragraph(text)], SIZES))
    t.ok(chunks.length > 100)
    t.ok(chunks.every(({ tokens, content }) => tokens <= 218 && content.isWellFormed()))
  }
  t.ok(performance.now() - began < 30_000)
})

const words = fc
  .array(
    fc.oneof(
      fc.lorem({ maxCount: 12, mode: 'sentences' }),
      fc.string({ unit: 'binary', maxLength: 30 }),
      fc.constantFrom(
        '漢字かな交じりの文です。',
        'ประเทศไทยมีหลายจังหวัด',
        'שלום עולם. מה שלומך?',
        '\0',
        '\ud800',
        'e\u0301',
        '\n',
        '  ',
      ),
    ),
    { maxLength: 25 },
  )
  .map((parts) => parts.join(' '))

const anyBlock: fc.Arbitrary<Block> = fc.record({
  kind: fc.constantFrom<BlockKind>('PARAGRAPH', 'HEADING', 'LIST', 'TABLE', 'CODE', 'QUOTE'),
  text: words,
  level: fc.integer({ min: 0, max: 6 }),
  lang: fc.constant(''),
})
const page = fc.array(anyBlock, { maxLength: 15 })
const sizes = fc.record({
  childTokens: fc.integer({ min: 20, max: 200 }),
  parentTokens: fc.integer({ min: 200, max: 1200 }),
})
const solid = (text: string) => text.replace(/\s+/g, '')

t.test('children hold all text once, in order; parents hold the same', async () => {
  fc.assert(
    fc.property(page, sizes, (blocks, sizes) => {
      const chunks = chunkBlocks(blocks, sizes)
      const expected = solid(blocks.map(({ text }) => storable(text)).join(' '))
      // A repeated header row stands before the chunk's own text.
      const own = ({ content, start, end }: Chunk) => content.slice(content.length - (end - start))
      const all = (some: readonly Chunk[]) => solid(some.map(own).join(''))
      return all(children(chunks)) === expected && all(parents(chunks)) === expected
    }),
    { numRuns: 300 },
  )
})

t.test('one sequence without gaps; a parent comes before its children and spans them', async () => {
  fc.assert(
    fc.property(page, sizes, (blocks, sizes) => {
      const chunks = chunkBlocks(blocks, sizes)
      return chunks.every((chunk, i) => {
        if (chunk.index !== i || chunk.content.trim() === '') return false
        if (chunk.parentIndex === null) return chunks[i + 1]?.parentIndex === i
        const parent = chunks[chunk.parentIndex]
        return (
          parent?.parentIndex === null &&
          chunk.parentIndex < i &&
          parent.start <= chunk.start &&
          chunk.end <= parent.end
        )
      })
    }),
    { numRuns: 300 },
  )
})

t.test('sizes are bounded, counts are near the tokenizer’s, equal input gives equal chunks', async () => {
  fc.assert(
    fc.property(page, sizes, (blocks, sizes) => {
      const chunks = chunkBlocks(blocks, sizes)
      const bounded = chunks.every(({ tokens, content, parentIndex }) => {
        // A unit is counted without the white space before it when it is cut to size.
        const limit = (parentIndex === null ? sizes.parentTokens * 1.2 : sizes.childTokens * 1.2) + 4
        const counted = countTokens(content)
        return tokens <= limit && Math.abs(counted - tokens) <= 8 + counted / 10
      })
      return bounded && JSON.stringify(chunks) === JSON.stringify(chunkBlocks(structuredClone(blocks), sizes))
    }),
    { numRuns: 300 },
  )
})
