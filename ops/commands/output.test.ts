import t from 'tap'
import { tableLines } from './output-table.ts'
import { printable } from './output.ts'

t.test('columns stand below their headings, numbers to the right', async (t) => {
  const rows = [
    { topic: 'pages.crawled', lag: 5n, tenant: null },
    { topic: 'a', lag: 1200n, tenant: 'acme' },
  ]
  t.same(tableLines(rows, 'all'), [
    'TOPIC           LAG  TENANT',
    'pages.crawled     5  all',
    'a              1200  acme',
  ])
  t.same(tableLines([{ stage: null }, { stage: null }], 'all'), ['STAGE', 'all', 'all'], 'no value is no number')
  t.same(tableLines([]), [])
})

t.test('anybody’s text stays in its cell and commands no terminal', async (t) => {
  const [, line] = tableLines([{ reason: 'two\nlines\u001b]0;title\u0007\u001b[2J\u009b5n', by: 'me' }])
  t.equal(line, 'two lines\ufffd]0;title\ufffd\ufffd[2J\ufffd5n  me')
})

t.test('of control characters, line ends, tabs and styles are printed', async (t) => {
  t.equal(printable('a\tb\r\nc\n'), 'a\tb\nc\n')
  t.equal(printable('\u001b[31mred\u001b[39m'), '\u001b[31mred\u001b[39m')
  t.equal(printable('\rover\u0000\u007f\u001b[10;5H'), '\ufffdover\ufffd\ufffd\ufffd[10;5H')
  t.equal(printable('größer — 日本'), 'größer — 日本')
})
