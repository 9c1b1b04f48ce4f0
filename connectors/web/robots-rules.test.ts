import t from 'tap'
import { checkRobots, MAX_ROBOTS_BYTES, parseRobots } from './robots-rules.ts'

const verdict = (robots: string, path: string, agent = 'FooBot') =>
  parseRobots(robots, agent).allowed(path.startsWith('/') ? `http://site.example${path}` : path)

interface Case {
  rule: string
  robots: string
  agent?: string
  allowed?: string[]
  refused?: string[]
}

const cases: Case[] = [
  { rule: 'no rules allow all', robots: '', allowed: ['/', '/a?b=c'] },
  { rule: 'an empty Disallow allows all', robots: 'User-agent: *\nDisallow:', allowed: ['/a'] },
  {
    rule: 'rules before any group count for nobody',
    robots: 'Disallow: /\nUser-agent: Bar\nDisallow: /',
    allowed: ['/'],
  },
  {
    rule: 'the named group replaces the one for *',
    robots: 'User-agent: *\nDisallow: /\nUser-agent: foobot\nDisallow: /x',
    allowed: ['/a'],
    refused: ['/x'],
  },
  {
    rule: 'another bot’s name is not ours by its beginning',
    robots: 'User-agent: FooBot-News\nDisallow: /',
    allowed: ['/a'],
  },
  {
    rule: 'a version after the token is ignored',
    robots: 'User-agent: FooBot/2.1\nDisallow: /a',
    refused: ['/a'],
    agent: 'foobot/9 (+http://x)',
  },
  {
    rule: 'agents stacked above one set of rules share it',
    robots: 'User-agent: Bar\nUser-agent: FooBot\nDisallow: /a',
    refused: ['/a'],
  },
  {
    rule: 'several groups for one agent are one',
    robots: 'User-agent: FooBot\nDisallow: /a\nUser-agent: Bar\nDisallow: /c\nUser-agent: FooBot\nDisallow: /b',
    allowed: ['/c'],
    refused: ['/a', '/b'],
  },
  {
    rule: 'a Sitemap line does not split a group',
    robots: 'User-agent: FooBot\nSitemap: http://x/s.xml\nUser-agent: Bar\nDisallow: /a',
    refused: ['/a'],
  },
  {
    rule: 'a Sitemap line amid rules does not end them',
    robots: 'User-agent: FooBot\nDisallow: /a\nSitemap: http://x/s.xml\nDisallow: /b',
    refused: ['/a', '/b'],
  },
  {
    rule: 'a Crawl-delay line does not split a group',
    robots: 'User-agent: FooBot\nCrawl-delay: 3\nUser-agent: Bar\nDisallow: /a',
    refused: ['/a'],
  },
  {
    rule: 'an unknown line does not split a group',
    robots: 'User-agent: FooBot\nHost: x\n\nUser-agent: Bar\nDisallow: /a',
    refused: ['/a'],
  },
  {
    rule: 'the longest match wins, wherever it stands',
    robots: 'User-agent: *\nAllow: /shop/public\nDisallow: /shop',
    allowed: ['/shop/public/1'],
    refused: ['/shop', '/shop/x'],
  },
  { rule: 'on a tie Allow wins', robots: 'User-agent: *\nDisallow: /page\nAllow: /page', allowed: ['/page'] },
  {
    rule: 'a wildcard counts by the length of its pattern',
    robots: 'User-agent: *\nAllow: /page\nDisallow: /*.htm',
    allowed: ['/pages'],
    refused: ['/page.htm'],
  },
  {
    rule: '$ anchors the end',
    robots: 'User-agent: *\nDisallow: /*.gif$',
    allowed: ['/a.gif?x', '/a.gifs'],
    refused: ['/a.gif', '/x/y.gif'],
  },
  {
    rule: '/$ is the home page alone',
    robots: 'User-agent: *\nDisallow: /\nAllow: /$',
    allowed: ['/'],
    refused: ['/page'],
  },
  {
    rule: '* spans anything, the query too',
    robots: 'User-agent: *\nDisallow: /*?*sort=',
    allowed: ['/a?x=1'],
    refused: ['/a?sort=1', '/a?x&sort=1'],
  },
  {
    rule: 'overlapping pieces of a pattern are not matched twice',
    robots: 'User-agent: *\nDisallow: /ab*ba$',
    allowed: ['/aba'],
    refused: ['/abba', '/abxba'],
  },
  {
    rule: 'a $ inside a pattern is a literal',
    robots: 'User-agent: *\nDisallow: /a$b',
    allowed: ['/a'],
    refused: ['/a$b', '/a%24b'],
  },
  {
    rule: '%2A in a pattern is a literal star',
    robots: 'User-agent: *\nDisallow: /a-%2A.html',
    allowed: ['/a-b.html'],
    refused: ['/a-*.html'],
  },
  {
    rule: 'paths are case-sensitive, field names are not',
    robots: 'USER-AGENT: *\nDISALLOW: /A',
    allowed: ['/a'],
    refused: ['/A'],
  },
  {
    rule: 'raw and escaped UTF-8 are the same',
    robots: 'User-agent: *\nDisallow: /foo/bar/ツ',
    refused: ['/foo/bar/%E3%83%84', '/foo/bar/%e3%83%84', '/foo/bar/ツ'],
  },
  {
    rule: 'escaped unreserved characters are the same as plain ones',
    robots: 'User-agent: *\nDisallow: /foo/%62%61%7A',
    refused: ['/foo/baz', '/foo/%62az'],
  },
  {
    rule: 'an escaped slash is no slash',
    robots: 'User-agent: *\nDisallow: /a%2Fb',
    allowed: ['/a/b'],
    refused: ['/a%2fb'],
  },
  {
    rule: 'robots.txt itself is always allowed',
    robots: 'User-agent: *\nDisallow: /',
    allowed: ['/robots.txt'],
    refused: ['/'],
  },
  { rule: 'a BOM is skipped', robots: '\uFEFFUser-agent: *\nDisallow: /a', refused: ['/a'] },
  { rule: 'CR and CRLF end lines', robots: 'User-agent: *\rDisallow: /a\r\nDisallow: /b', refused: ['/a', '/b'] },
  {
    rule: 'comments and blanks do not matter',
    robots: '# hi\n  User-agent :  * # all\n\n Disallow: /a # no',
    refused: ['/a'],
  },
  { rule: 'common slips are understood', robots: 'useragent: FooBot\ndissalow /a', refused: ['/a'] },
  { rule: 'markup is no rule', robots: '<html><body>Disallow: /</body></html>', allowed: ['/a'] },
]

for (const { rule, robots, agent, allowed = [], refused = [] } of cases)
  t.test(rule, async (t) => {
    for (const path of allowed) t.equal(verdict(robots, path, agent), true, path)
    for (const path of refused) t.equal(verdict(robots, path, agent), false, path)
  })

t.test('what lies beyond 512 KiB is not read, nor half a line before it', async (t) => {
  const filler = `#${'x'.repeat(1022)}\n`.repeat(MAX_ROBOTS_BYTES / 1024)
  const head = 'User-agent: *\nDisallow: /a\n'
  t.equal(verdict(head + filler + 'Disallow: /b\n', '/b'), true)
  t.equal(verdict(head + filler + 'Disallow: /b\n', '/a'), false)
  const torn = (head + filler).slice(0, MAX_ROBOTS_BYTES - 12) + '\nDisallow: /public-not\n'
  t.equal(verdict(torn, '/p'), true)
})

t.test('crawl delay and sitemaps are read', async (t) => {
  const text =
    'Sitemap: https://a.example/s.xml\nUser-agent: *\nCrawl-delay: 2.5\nDisallow: /x\nUser-agent: Bar\nCrawl-delay: -1'
  t.match(parseRobots(text, 'FooBot'), { crawlDelayMs: 2500, sitemaps: ['https://a.example/s.xml'] })
  t.equal(parseRobots(text, 'Bar').crawlDelayMs, undefined)
})

t.test('a pattern full of stars is matched in linear time', async (t) => {
  const robots = `User-agent: *\nDisallow: /${'a*'.repeat(2000)}b`
  const started = process.hrtime.bigint()
  t.equal(verdict(robots, `/${'a'.repeat(4000)}`), true)
  t.ok(process.hrtime.bigint() - started < 500_000_000n)
})

t.test('the form that the command prints', async (t) => {
  const urls = ['https://x.example/a', 'https://x.example/b']
  t.same(checkRobots('User-agent: *\nDisallow: /a', 'sluice', urls), [
    { url: urls[0], allowed: false },
    { url: urls[1], allowed: true },
  ])
})
