import t from 'tap'
import { contentHash } from './content-hash.ts'
import { extract } from './extract.ts'

const html = (body: string | Uint8Array, contentType = 'text/html') =>
  extract({ body: typeof body === 'string' ? Buffer.from(body) : body, contentType, url: 'https://a.example/page' })
const textOf = (page: ReturnType<typeof html>) => page.blocks.map(({ text }) => text).join('\n')

const SENTENCE = 'The harbour of the old town was built in two long stages, and the second took forty years. '
let paragraphs = 0
const prose = (count: number) =>
  Array.from(
    { length: count },
    () => `<p>${SENTENCE.repeat(3)}This was written down in chronicle ${++paragraphs}.</p>`,
  ).join('')
const article = (inner: string) => `<!doctype html><html lang="en"><head><title>Harbour | Town News</title></head><body>
  <nav><ul><li><a href="/">Home</a></li><li><a href="/news">News</a></li></ul></nav>
  <main><article><h1>Harbour</h1>${prose(4)}${inner}${prose(2)}</article></main>
  <footer><p>© 2025 Town News. All rights reserved.</p><a href="/imprint">Imprint</a></footer></body></html>`

t.test('blocks keep the structure of the page', async (t) => {
  const page = html(
    article(`<h2>Dues <em>today</em></h2>
      <ul><li>Boats<ul><li>small, below ten metres</li><li>large, ten metres and more</li></ul></li><li>Ferries</li></ul>
      <ol start="3"><li><p>Moor.</p><p>Tie up.</p></li><li>Pay at the office.</li></ol>
      <table><tr><th>Length</th><th>Dues</th></tr><tr><td>6&nbsp;m</td><td>12 €</td></tr></table>
      <pre><code class="language-python">def dues(m):
    return m  *  2
</code></pre>
      <blockquote><p>First quoted words.</p><p>More quoted words.</p></blockquote>`),
  )
  t.match(page, { title: 'Harbour', language: 'en', empty: false })
  const of = (kind: string) => page.blocks.filter((block) => block.kind === kind)
  t.match(of('HEADING').at(-1), { text: 'Dues today', level: 2 })
  t.same(
    of('LIST').map(({ text }) => text),
    [
      '- Boats\n  - small, below ten metres\n  - large, ten metres and more\n- Ferries',
      '3. Moor. Tie up.\n4. Pay at the office.',
    ],
  )
  t.same(of('TABLE')[0]?.text, 'Length | Dues\n6 m | 12 €')
  t.same(of('CODE')[0], { kind: 'CODE', text: 'def dues(m):\n    return m  *  2', level: 0, lang: 'python' })
  t.same(of('QUOTE')[0]?.text, 'First quoted words.\nMore quoted words.')
  t.equal(of('PARAGRAPH').length, 6, 'neither navigation nor footer')
})

t.test('hidden text, scripts and styles are left out', async (t) => {
  const text = textOf(
    html(
      article(`<p hidden>secret one</p><div style="color:red; display : none">secret two</div>
      <p aria-hidden="true">secret three</p><script>secret("four")</script><style>.secret{}</style><!-- secret -->
      <template>secret five</template><noscript><p>${SENTENCE}Read without scripts.</p></noscript>`),
    ),
  )
  t.notMatch(text, 'secret')
  t.match(text, 'Read without scripts.', 'what readers without scripts get is text')
})

t.test('a page that hides everything until a script runs is read all the same', async (t) => {
  const page = html(`<body><div style="visibility:hidden">${article(prose(2))}</div>`)
  t.match(textOf(page), 'The harbour of the old town')
})

t.test('nothing worth keeping is empty', async (t) => {
  const navigation = `<nav><a href="/a">Products</a> <a href="/b">About us</a></nav><footer>© 2025 Acme</footer>`
  const cookies =
    '<div class="cookie-consent"><p>We use cookies to improve your experience.</p><button>Accept</button></div>'
  for (const body of [
    '',
    '   ',
    '<title>Only</title>',
    navigation,
    navigation + cookies,
    '<div id="root"></div><script>x</script>',
  ])
    t.match(html(body), { empty: true, blocks: [] }, body)
})

t.test('a small page is content', async (t) => {
  t.match(
    textOf(html('<title>Opening hours</title><h1>Opening hours</h1><p>Daily from nine to five.</p>')),
    'nine to five',
  )
})

t.test('charsets: declared ones, and undeclared UTF-8', async (t) => {
  const first = (page: ReturnType<typeof html>) => page.blocks[0]?.text
  const shiftJis = Uint8Array.of(0x3c, 0x70, 0x3e, 0x93, 0xfa, 0x96, 0x7b, 0x8c, 0xea, 0x81, 0x42)
  t.equal(first(html(shiftJis, 'text/html; charset=Shift_JIS')), '日本語。')
  t.equal(first(html(Buffer.from('<meta charset=windows-1252><p>caf\xe9 \x80 five.', 'latin1'))), 'café € five.')
  t.equal(first(html('<p>Größe – naïve café.')), 'Größe – naïve café.')
  t.equal(first(html(Buffer.from('<p>Gr\xf6\xdfe und Ma\xdfe.', 'latin1'))), 'Größe und Maße.', 'invalid as UTF-8')
  t.equal(first(html('<meta charset=latin1><p>Größe.', 'text/html; charset=utf-8')), 'Größe.', 'the transport wins')
  t.equal(first(html(Buffer.from('\ufeffGrüße', 'utf16le'), 'text/plain')), 'Grüße', 'byte order mark')
})

t.test('any script: right to left, and without spaces', async (t) => {
  const arabic = 'كانت المدينة القديمة ميناءً مهماً على البحر، وقد بُنيت أسوارها قبل ألف عام. '
  const page = html(
    `<html lang="ar" dir="rtl"><title>الميناء</title><body><main><h1>الميناء</h1><p>${arabic.repeat(5)}</p></main>`,
  )
  t.match(page, { title: 'الميناء', language: 'ar' })
  t.match(textOf(page), 'ميناءً مهماً')
  const japanese = '古い港町は千年以上前に築かれ、今も多くの船が出入りしている。'
  const undeclared = html(
    `<title>港</title><nav><a href="/">ホーム</a></nav><article><h1>港</h1><p>${japanese.repeat(8)}</p></article>`,
  )
  t.equal(undeclared.language, 'ja')
  t.match(textOf(undeclared), japanese)
  t.notMatch(textOf(undeclared), 'ホーム')
})

t.test('what parsers trip over does no harm', async (t) => {
  const calc = article('<style>p{width:calc(1px + )}</style><p style="width:calc(100% - (">Styled words stay.</p>')
  t.match(textOf(html(calc)), 'Styled words stay.')
  const deep = html('<div>'.repeat(100_000) + article('') + '</div>'.repeat(100_000))
  t.match(textOf(deep), 'The harbour of the old town')
  t.match(textOf(html(article('<![CDATA[ <p>After a stray CDATA section.</p>'))), 'After a stray CDATA')
  const spoiled = html(article(`<p>NUL\0 and &#xD800; and \u0065\u0301t\u00e9 ${SENTENCE}</p>`))
  t.match(textOf(spoiled), 'NUL and \ufffd and été', 'NUL goes, surrogates are replaced, NFC')
  t.ok(textOf(spoiled).isWellFormed())
  for (const junk of [
    '<',
    '<p',
    '<table><tr><td><table>',
    '</html></body>text',
    '<!--',
    '<a <b <c',
    '&#x110000; &nosuch;',
  ])
    t.doesNotThrow(() => html(junk), junk)
})

t.test('equal bytes give an equal hash, other words another', async (t) => {
  const hash = (body: string) => {
    const { title, blocks } = html(body)
    return contentHash(title, blocks)
  }
  const page = article('')
  t.match(hash(page), /^[0-9a-f]{64}$/)
  t.equal(hash(page), hash(page))
  t.equal(hash(page), hash(page.replaceAll('\n', '\n\n')), 'layout of the source is not content')
  t.not(hash(page), hash(page.replace('two long stages', 'three long stages')))
})

t.test('a product that only its JSON-LD describes', async (t) => {
  const data = { '@graph': [{ '@type': 'Product', description: '<p>Oak table, oiled.</p><p>Seats eight people.</p>' }] }
  const page = html(
    `<title>Table</title><div id="app"></div><script type="application/ld+json">${JSON.stringify(data)}</script>`,
  )
  t.same(textOf(page), 'Oak table, oiled.\nSeats eight people.')
  t.equal(page.empty, false)
})

t.test('robots of the page are reported', async (t) => {
  t.same(html('<meta name="Robots" content="NOINDEX, follow"><p>x').robots, { noindex: true, nofollow: false })
})

t.test('Markdown and plain text are read as what they are', async (t) => {
  const source = `---\ntitle: "Tea"\nlang: en_GB\n---\n# Making tea\n\nBoil *water* with a
[kettle](https://a.example/k).\n\n- green\n  - sencha\n- black\n\n1. Pour\n2. Wait\n
| Tea | °C |\n|---|--:|\n| green | 80 |\n\n\`\`\`js\nconst a  = 1 // <b>\n\n\`\`\`\n\n> Tea is\n> patience.\n\nEnd\n===\n`
  const page = html(source, 'text/markdown; charset=utf-8')
  t.match(page, { title: 'Tea', language: 'en-GB', empty: false })
  t.same(
    page.blocks.map(({ kind, text, level, lang }) => [kind, text, level, lang]),
    [
      ['HEADING', 'Making tea', 1, ''],
      ['PARAGRAPH', 'Boil water with a kettle.', 0, ''],
      ['LIST', '- green\n  - sencha\n- black', 0, ''],
      ['LIST', '1. Pour\n2. Wait', 0, ''],
      ['TABLE', 'Tea | °C\ngreen | 80', 0, ''],
      ['CODE', 'const a  = 1 // <b>', 0, 'js'],
      ['QUOTE', 'Tea is patience.', 0, ''],
      ['HEADING', 'End', 1, ''],
    ],
  )
  t.same(
    html('One <b>line\nand   another.\n\n\nNext.', 'text/plain').blocks.map(({ text }) => text),
    ['One <b>line\nand another.', 'Next.'],
  )
  t.equal(html(' \n ', 'text/plain').empty, true)
})
