import t from 'tap'
import { normalizeUrl, sameSite } from './url.ts'

t.test('spellings of one page become one URL', async (t) => {
  const same: [string, string][] = [
    ['HTTP://Example.COM:80/a', 'http://example.com/a'],
    ['https://example.com:443', 'https://example.com/'],
    ['https://example.com./a#part', 'https://example.com/a'],
    ['https://example.com/a/../b/./c', 'https://example.com/b/c'],
    ['https://example.com/%7Euser/%c3%a9', 'https://example.com/~user/%C3%A9'],
    ['https://example.com/é', 'https://example.com/%C3%A9'],
    ['https://example.com/?', 'https://example.com/'],
    ['https://example.com/?utm_source=x&b=2&UTM_Campaign=y&a=1&gclid=z', 'https://example.com/?b=2&a=1'],
    ['https://example.com/?q=a+b&x=%2F', 'https://example.com/?q=a+b&x=%2F'],
    ['https://example.com/?a=1&&b', 'https://example.com/?a=1&b'],
    ['  https://bücher.example/  ', 'https://xn--bcher-kva.example/'],
    ['http://[0:0::1]:8080/', 'http://[::1]:8080/'],
  ]
  for (const [text, url] of same) {
    t.equal(normalizeUrl(text), url)
    t.equal(normalizeUrl(url), url, 'and stays as it is')
  }
  t.equal(normalizeUrl('../x?y#z', 'https://example.com/a/b/c'), 'https://example.com/a/x?y')
})

t.test('what cannot be crawled has no URL', async (t) => {
  for (const text of [
    '',
    'example.com/a',
    '/a',
    'mailto:a@b.example',
    'javascript:void(0)',
    'ftp://a.example/',
    'http://u:p@a.example/',
    'http://',
    `http://a.example/${'x'.repeat(5000)}`,
  ])
    t.equal(normalizeUrl(text), undefined, text.slice(0, 30))
})

t.test('a site is a registrable domain', async (t) => {
  t.ok(sameSite('https://www.example.co.uk/a', 'http://docs.example.co.uk:8080/b'))
  t.notOk(sameSite('https://a.co.uk/', 'https://b.co.uk/'))
  t.notOk(sameSite('https://a.github.io/', 'https://b.github.io/'), 'two owners under one public suffix')
  t.ok(sameSite('http://127.0.0.1:81/a', 'http://127.0.0.1:81/b'))
  t.notOk(sameSite('http://127.0.0.1:81/', 'http://127.0.0.1:82/'), 'addresses are a site for each port')
  t.notOk(sameSite('http://localhost:81/', 'http://localhost:82/'))
})
