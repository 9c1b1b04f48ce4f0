import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { chunkFile } from './chunk-file.ts'
import { chunkLayout } from './chunk.ts'
import { sourceLayout } from './source-spans.ts'

const SIZES = { childTokens: 60, parentTokens: 400 }
const noHtml = () => Promise.reject(new Error('not HTML'))

const markdown = `---
title: Tea
---
# Tea *guide*

Green tea is steeped
at 70 °C. It is mild.

Setext heading
--------------

- one
  continued
- two

  still two
1. first

| Kind | Minutes |
|------|---------|
${Array.from({ length: 30 }, (_, i) => `| tea number ${i} of the list | ${i} |`).join('\n')}

\`\`\`js
# no heading

const a = 1
\`\`\`

> quoted

    indented code

== Wiki ==
The end.
`

t.test('chunks of a Markdown file are slices of it, a continued table after its header', async (t) => {
  const file = join(t.testdir(), 'tea.md')
  await writeFile(file, markdown)
  const chunks = await chunkFile(file, SIZES, noHtml)
  t.ok(chunks.length > 3)
  chunks.forEach(({ index, start, end, content, file: of }, i) => {
    t.equal(index, i)
    t.equal(of, file)
    const slice = markdown.slice(start ?? 0, end ?? 0)
    if (content !== slice) t.equal(content, `| Kind | Minutes |\n|------|---------|\n${slice}`)
  })
  t.ok(chunks.some(({ content, start, end }) => content.length > (end ?? 0) - (start ?? 0)))
  t.equal(chunks.at(-1)?.headingPath[0], 'Tea guide')
})

t.test('headings are read with or without underline, not inside code', async (t) => {
  const { text, spans } = sourceLayout(markdown, 'markdown')
  const of = (kind: string) =>
    spans.filter((span) => span.kind === kind).map(({ start, end }) => text.slice(start, end))
  t.same(
    spans.filter(({ kind }) => kind === 'HEADING').map(({ heading, level }) => [level, heading]),
    [
      [1, 'Tea guide'],
      [2, 'Setext heading'],
      [2, 'Wiki'],
    ],
  )
  t.same(of('CODE'), ['---\ntitle: Tea\n---', '```js\n# no heading\n\nconst a = 1\n```', '    indented code'])
  t.same(of('LIST'), ['- one\n  continued\n- two\n\n  still two\n1. first'])
  t.same(of('QUOTE'), ['> quoted'])
  t.equal(of('TABLE').length, 1)
})

t.test('plain text has paragraphs and no Markdown', async (t) => {
  const file = join(t.testdir(), 'notes.txt')
  await writeFile(file, '# not a heading\r\n\r\nSecond paragraph.\r\n')
  t.match(await chunkFile(file, SIZES, noHtml), [
    { start: 0, end: 36, headingPath: [], content: '# not a heading\r\n\r\nSecond paragraph.' },
  ])
})

t.test('HTML goes through the extractor and has no offsets', async (t) => {
  const file = join(t.testdir(), 'page.html')
  await writeFile(file, '<p>Hello')
  const extract = async (body: Buffer, contentType: string) => {
    t.equal(contentType, 'text/html')
    return { blocks: [{ kind: 'PARAGRAPH' as const, text: body.toString().slice(3), level: 0, lang: '' }] }
  }
  t.match(await chunkFile(file, SIZES, extract), [{ index: 0, start: null, end: null, content: 'Hello' }])
})

t.test('nothing of any file is lost or doubled', async () => {
  const line = fc.constantFrom(
    '# A',
    'words and words.',
    '',
    '- x',
    '| a | b |',
    '|---|---|',
    '```',
    '    code',
    '===',
    '---',
    '> q',
    '= W =',
    '\r',
    '1. n',
    '\ttab',
    '漢字。',
  )
  fc.assert(
    fc.property(
      fc.array(line, { maxLength: 40 }),
      fc.constantFrom('markdown' as const, 'text' as const),
      (lines, format) => {
        const text = lines.join('\n')
        const chunks = chunkLayout(sourceLayout(text, format), { childTokens: 20, parentTokens: 200 })
        const children = chunks.filter(({ parentIndex }) => parentIndex !== null)
        return (
          children
            .map(({ start, end }) => text.slice(start, end))
            .join('')
            .replace(/\s/g, '') === text.replace(/\s/g, '')
        )
      },
    ),
    { numRuns: 500 },
  )
})
