import t from 'tap'
import { refuseAction, refuseForeign, refuseHost, refuseToken, safeHeaders } from './guard.ts'

const asked = (headers: Record<string, string>) => ({ method: 'POST', headers })
const json = { 'content-type': 'application/json', host: '127.0.0.1:9000' }

const token = 'a-token-of-sixteen-or-more'
const own = { bound: '127.0.0.1', token: undefined, allowed: [] }

t.test('without a token only loopback names are answered: no foreign name that resolves here', async (t) => {
  const names = ['localhost:9000', '127.0.0.1', '127.8.8.8:1', '[::1]:9000', 'a.localhost', 'LOCALHOST:9000']
  for (const host of names) t.equal(refuseHost(asked({ host }), own), undefined, host)
  const foreign = [
    'evil.example',
    'localhost.evil.example:9000',
    '127.0.0.1.evil.example',
    '',
    'a b',
    '10.0.0.1',
    '127.0.0.1@evil.example',
  ]
  for (const host of foreign) t.match(refuseHost(asked({ host }), own), { status: 421 }, host)
  t.match(refuseHost(asked({}), own), { status: 421 })
})

t.test('the name that it was told to bind is its own, and so are those that are allowed', async (t) => {
  const bound = 'console.internal'
  t.equal(refuseHost(asked({ host: 'console.internal:80' }), { ...own, bound }), undefined)
  const allowed = ['console.example']
  t.equal(refuseHost(asked({ host: 'Console.example:8443' }), { bound: '0.0.0.0', token, allowed }), undefined)
})

t.test('a token that may be known does not open the port to foreign names, but to addresses', async (t) => {
  const known = { bound: '0.0.0.0', token, allowed: ['console.example'] }
  for (const host of ['10.0.0.1:9400', '127.0.0.1:9400', 'localhost:9400', '[fd00::1]:9400'])
    t.equal(refuseHost(asked({ host }), known), undefined, host)
  for (const host of ['evil.example', 'sub.console.example', '10.0.0.1.evil.example', '', '[evil]'])
    t.match(refuseHost(asked({ host }), known), { status: 403, hint: /ADMIN_ALLOWED_HOSTS/ }, host)
  t.match(refuseHost(asked({}), known), { status: 403 })
})

t.test('a token is compared whole', async (t) => {
  t.equal(refuseToken(asked({}), undefined), undefined)
  t.equal(refuseToken(asked({ authorization: `Bearer ${token}` }), token), undefined)
  for (const wrong of ['', token.slice(1), `${token}x`, 'Bearer', 'Basic eA=='])
    t.match(refuseToken(asked({ authorization: wrong ? `Bearer ${wrong}` : '' }), token), { status: 401 }, wrong)
})

t.test('actions come from the own page, as JSON', async (t) => {
  const own = { ...json, origin: 'http://127.0.0.1:9000', 'sec-fetch-site': 'same-origin' }
  t.equal(refuseAction(asked(own)), undefined)
  t.equal(refuseAction(asked(json)), undefined, 'clients that are no browser say nothing')
  t.equal(refuseAction(asked({ ...own, 'content-type': 'application/json; charset=utf-8' })), undefined)
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/plain; application/json',
  ])
    t.match(refuseAction(asked({ ...own, 'content-type': type })), { status: 415 }, type)
  t.match(refuseAction(asked({ host: json.host })), { status: 415 })
})

t.test('whatever shows another origin is refused', async (t) => {
  const wrong: Record<string, string>[] = [
    { origin: 'http://evil.example' },
    { origin: 'null' },
    { origin: 'http://127.0.0.1:9001' },
    { origin: 'http://127.0.0.1' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { origin: 'http://127.0.0.1:9000', 'sec-fetch-site': 'cross-site' },
  ]
  for (const headers of wrong)
    t.match(refuseForeign(asked({ ...json, ...headers })), { status: 403 }, JSON.stringify(headers))
})

t.test('the policy allows no inline script, no frame and no other host', async (t) => {
  const policy = safeHeaders['content-security-policy']!
  t.match(policy, /default-src 'none'/)
  t.match(policy, /script-src 'self';/)
  t.match(policy, /frame-ancestors 'none'/)
  t.match(policy, /require-trusted-types-for 'script'/)
  t.notMatch(policy, /unsafe|\*|data:|https?:/)
})
