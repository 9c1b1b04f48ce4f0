import t from 'tap'
import { readPageLinks } from './page-links.ts'
import { readDirectives, readRobotsHeader } from './robots-directives.ts'

const page = 'https://www.example.com/docs/a'
const read = (html: string) => readPageLinks(html, page, 'sluice')

t.test('links are absolute, normalised, once each, and of the same site', async (t) => {
  const { links, canonicalUrl } = read(`
    <a href="b">B</a> <a href='b#part'>B again</a> <A HREF=/c?utm_source=x>C</A> <a href="https://docs.example.com/d">D</a>
    <a href="https://other.example/">off</a> <a href="mailto:x@example.com">mail</a> <a href="a#top">self</a> <a>none</a>
    <map><area href="/e"></map> <link rel="alternate" hreflang="de" href="/de/a"> <link rel="alternate" href="/feed.xml">
    <!-- <a href="/commented">no</a> --> <script>'<a href="/script">'</script> <a href="&#47;f?x&amp;y=1">F</a>`)
  t.same(links, [
    'https://www.example.com/docs/b',
    'https://www.example.com/c',
    'https://docs.example.com/d',
    'https://www.example.com/e',
    'https://www.example.com/de/a',
    'https://www.example.com/f?x&y=1',
  ])
  t.equal(canonicalUrl, page)
})

t.test('base href moves relative links, but not to another site', async (t) => {
  t.same(read('<base href="/other/"><base href="/no/"><a href="b">').links, ['https://www.example.com/other/b'])
  t.same(read('<base href="https://evil.example/"><a href="b"><a href="/c">').links, [])
})

t.test('nofollow is honoured: on a link, on the page, for us by name', async (t) => {
  t.same(read('<a rel="noopener NoFollow" href="/b"><a href="/c">').links, ['https://www.example.com/c'])
  t.same(read('<meta name="Robots" content="index, NOFOLLOW"><a href="/c">').links, [])
  t.same(read('<meta name="sluice" content="none"><a href="/c">'), {
    links: [],
    noindex: true,
    nofollow: true,
    canonicalUrl: page,
  })
  t.same(read('<meta name="otherbot" content="none"><a href="/c">').links, ['https://www.example.com/c'])
})

t.test('a canonical address counts on the same site only, and is worth a visit', async (t) => {
  t.match(read('<link rel="canonical" href="/x?utm_medium=y">'), {
    canonicalUrl: 'https://www.example.com/x',
    links: ['https://www.example.com/x'],
  })
  t.match(read('<link rel=canonical href="https://other.example/x">'), { canonicalUrl: page, links: [] })
  t.match(read('<link rel=canonical href="">'), { canonicalUrl: page, links: [] })
})

t.test('a refresh is a link', async (t) => {
  t.same(read(`<meta http-equiv="Refresh" content="0; URL='/next'">`).links, ['https://www.example.com/next'])
})

t.test('a link farm is cut short, and torn markup is read as far as it goes', async (t) => {
  t.equal(read(Array.from({ length: 5000 }, (_, n) => `<a href="/${n}">`).join('')).links.length, 2000)
  t.same(read('<a href="/b"><a href="/c').links, ['https://www.example.com/b'])
})

t.test('X-Robots-Tag lines are for all crawlers or for the one that they name', async (t) => {
  t.match(readRobotsHeader(['noindex'], 'sluice'), { noindex: true, nofollow: false })
  t.match(readRobotsHeader(['otherbot: noindex', 'Sluice: nofollow, noarchive'], 'sluice'), {
    noindex: false,
    nofollow: true,
  })
  t.match(readRobotsHeader(['unavailable_after: 25 Jun 2030 15:00:00 PST, noindex'], 'sluice'), { noindex: true })
  t.match(readRobotsHeader([], 'sluice'), { noindex: false, nofollow: false })
  t.match(readDirectives('all'), { noindex: false, nofollow: false })
})
