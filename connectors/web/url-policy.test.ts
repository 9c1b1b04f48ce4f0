import t from 'tap'
import { admitUrl, createAllowList } from './url-policy.ts'

const nobody = createAllowList([])
const refusedHosts =
  `127.1 2130706433 0x7f000001 0177.0.0.1 0 127.0.0.1. ①②⑦.⓪.⓪.① 127%2e0%2e0%2e1 127.0.0.1 127.255.255.254 0.0.0.0
  169.254.169.254 2852039166 0xa9fea9fe 0xa9.0xfe.0xa9.0xfe 10.0.0.1 172.16.0.1 172.31.255.255 192.168.0.1 100.64.0.1 100.127.255.255
  192.0.0.192 198.18.0.1 198.19.255.255 192.0.2.1 198.51.100.7 203.0.113.9 192.88.99.1 192.31.196.1 192.52.193.1 192.175.48.1
  224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 168.63.129.16
  [::] [::1] [::ffff:127.0.0.1] [::ffff:a9fe:a9fe] [::127.0.0.1] [::ffff:0:7f00:1] [64:ff9b::a9fe:a9fe] [64:ff9b:1::a9fe:a9fe]
  [2002:7f00:1::] [fe80::1] [fc00::1] [fd00:ec2::254] [fec0::1] [ff02::1] [2001:db8::1] [3fff::1] [2001::1] [2001:1ff:ffff::1]
  [2620:4f:8000::1] [100::1] [5f00::1] [4000::1]
  localhost localhost. LOCALHOST foo.localhost foo.localhost. metadata.google.internal printer.local router.home.arpa intranet com`
    .trim()
    .split(/\s+/)

t.test('private, special and single-label hosts are refused in every spelling', async (t) => {
  for (const host of refusedHosts)
    for (const scheme of ['http', 'https'])
      t.throws(() => admitUrl(`${scheme}://${host}/`, undefined, nobody), { code: 'fetch_refused' }, host)
})

t.test('other ways to say something bad are refused', async (t) => {
  const urls = [
    'http://a.com@127.0.0.1/',
    'http://user:secret@example.com/',
    'http:\\\\127.0.0.1/',
    'http:///127.0.0.1/',
    'http:127.0.0.1',
    'http://127.0.0.1:80/',
    'file:///etc/passwd',
    'ftp://example.com/',
    'gopher://example.com/',
    'data:text/html,hello',
    'javascript:alert(1)',
    'blob:http://example.com/1',
    'http://example.com:22/',
    'https://example.com:6379/',
    'http://[fe80::1%25eth0]/',
    'http://exa mple.com/',
    '//example.com/',
    'example.com',
    '',
    `http://example.com/${'a'.repeat(5000)}`,
  ]
  for (const url of urls) t.throws(() => admitUrl(url, undefined, nobody), { code: 'fetch_refused' }, url.slice(0, 40))
})

t.test('a redirect is judged against the page it came from', async (t) => {
  const base = new URL('https://example.com/a/b')
  t.throws(() => admitUrl('//127.0.0.1/x', base, nobody), { code: 'fetch_refused' })
  t.throws(() => admitUrl('http://169.254.169.254/latest', base, nobody), { code: 'fetch_refused' })
  t.equal(admitUrl('../c', base, nobody).href, 'https://example.com/c')
})

t.test('public hosts pass', async (t) => {
  const urls = [
    'http://8.8.8.8/',
    'http://[2606:4700:4700::1111]/',
    'http://[::ffff:8.8.8.8]/',
    'http://100.63.255.254/',
    'http://100.128.0.1/',
    'http://172.15.255.255/',
    'http://172.32.0.1/',
    'http://example.com:80/',
    'https://example.com:443/',
    'http://example.com:443/',
    'https://example.com./',
    'https://bücher.example/',
    'https://internal.example/',
  ]
  for (const url of urls) t.doesNotThrow(() => admitUrl(url, undefined, nobody), url)
})

t.test('named hosts are let through, with their port if one was named, and nobody else', async (t) => {
  const allow = createAllowList(['127.0.0.1:8080', 'localhost', '[::1]:9000', 'dev.internal'])
  const pass = [
    'http://127.0.0.1:8080/',
    'http://127.1:8080/',
    'http://localhost:3000/',
    'http://LOCALHOST./',
    'http://[::1]:9000/',
    'http://dev.internal/',
  ]
  const refuse = [
    'http://127.0.0.1/',
    'http://127.0.0.1:8081/',
    'http://127.0.0.2:8080/',
    'http://[::1]:9001/',
    'http://x.dev.internal/',
    'http://u:p@localhost/',
    'file://localhost/etc/passwd',
  ]
  for (const url of pass) t.doesNotThrow(() => admitUrl(url, undefined, allow), url)
  for (const url of refuse) t.throws(() => admitUrl(url, undefined, allow), { code: 'fetch_refused' }, url)
})
