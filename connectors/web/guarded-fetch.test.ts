import type { LookupAddress } from 'node:dns'
import { createServer, type RequestListener } from 'node:http'
import { connect, createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import type { buildConnector } from 'undici'
import { createGuardedConnector, systemResolve } from './guarded-connector.ts'
import { createGuardedFetch, type GuardedFetchSettings } from './guarded-fetch.ts'
import { createRobots } from './robots.ts'
import { createAllowList } from './url-policy.ts'

const SITE = 'site.example'

/** A local server that answers for `site.example` (allowed by name), and a fetch that resolves it. */
async function siteWith(t: Test, server: Server, settings: Partial<GuardedFetchSettings> = {}) {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => sockets.add(socket.on('close', () => sockets.delete(socket))))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const guarded = createGuardedFetch({
    userAgent: 'sluice-test/1',
    allowHosts: [`${SITE}:${port}`],
    resolve: async () => [{ address: '127.0.0.1', family: 4 }],
    ...settings,
  })
  t.teardown(async () => {
    await guarded.close()
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return { fetch: guarded.fetch, origin: `http://${SITE}:${port}`, port, sockets }
}

const http = (handler: RequestListener) => createServer(handler)

/**
 * Dials a local port whatever the lookup said, and claims to have reached the first answer (or `claim`): how a public
 * address is reached without leaving this machine.
 */
const dialLocally = (port: number, claim?: string): typeof buildConnector =>
  ((settings: { lookup: (...args: unknown[]) => void }) =>
    (target: { hostname: string }, done: (...args: unknown[]) => void) => {
      settings.lookup(target.hostname, { all: true }, (error: Error | null, answers: LookupAddress[]) => {
        if (error) return done(error, null)
        const socket = connect(port, '127.0.0.1')
        Object.defineProperty(socket, 'remoteAddress', { value: claim ?? answers[0]!.address })
        socket.once('connect', () => done(null, socket))
      })
    }) as unknown as typeof buildConnector

t.test('a page arrives decoded, with its final URL and our User-Agent', async (t) => {
  const { fetch, origin } = await siteWith(
    t,
    http((req, res) => {
      if (req.url === '/old') return res.writeHead(301, { location: '/new?x=1' }).end('moved')
      res.writeHead(200, {
        'content-type': 'text/html',
        'content-encoding': 'gzip',
        'x-robots-tag': ['a: noindex', 'nofollow'],
      })
      res.end(gzipSync(`${req.headers['user-agent']} ${req.headers['if-none-match']}`))
    }),
  )
  const response = await fetch(`${origin}/old`, { headers: { 'if-none-match': '"1"' } })
  t.match(response, { status: 200, url: `${origin}/new?x=1` })
  t.equal(response.body.toString(), 'sluice-test/1 undefined', 'the ETag of the old URL is not sent to the new one')
  t.same((await fetch(`${origin}/new`, { headers: { 'if-none-match': '"1"' } })).body.toString(), 'sluice-test/1 "1"')
})

t.test('a name that resolves to a private address is refused, without telling which', async (t) => {
  for (const answers of [['10.0.0.7'], ['93.184.216.34', '169.254.169.254'], ['::1'], ['::ffff:192.168.1.1']]) {
    const { fetch, close } = createGuardedFetch({
      userAgent: 'x',
      resolve: async () => answers.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    })
    const error = await fetch('http://rebind.example/').then(
      () => t.fail('fetched'),
      (error) => error,
    )
    t.match(error, { name: 'StageError', code: 'fetch_refused', retriable: false })
    t.notMatch(JSON.stringify([error.message, error.cause, error.stack]), /10\.0\.0\.7|169\.254|::1|192\.168/)
    await close()
  }
})

t.test(
  'a name is resolved once a connection: what was checked is what is dialled, and the next answer is checked again',
  async (t) => {
    let asked = 0
    const answers = ['93.184.216.34', '127.0.0.1']
    const server = http((_, res) => res.setHeader('connection', 'close').end('public'))
    const { port } = await siteWith(t, server)
    const { fetch, close } = createGuardedFetch({
      userAgent: 'x',
      resolve: async () => [{ address: answers[asked++]!, family: 4 }],
      buildConnector: dialLocally(port),
    })
    t.equal((await fetch('http://rebind.example/')).body.toString(), 'public')
    t.equal(asked, 1)
    await t.rejects(fetch('http://rebind.example/'), { code: 'fetch_refused' })
    await close()
  },
)

t.test('the address really dialled is checked too', async (t) => {
  const { port, sockets } = await siteWith(
    t,
    http((_, res) => res.end('secret')),
  )
  const { fetch, close } = createGuardedFetch({
    userAgent: 'x',
    resolve: async () => [{ address: '93.184.216.34', family: 4 }],
    buildConnector: dialLocally(port, '127.0.0.1'),
  })
  await t.rejects(fetch('http://liar.example/'), { code: 'fetch_refused' })
  await close()
  t.ok(sockets.size <= 1)
})

t.test('literals never reach the connector’s lookup and are refused all the same', async (t) => {
  const { fetch, close } = createGuardedFetch({ userAgent: 'x', resolve: async () => t.fail('resolved') as never })
  for (const host of ['127.0.0.1', '[::1]', '[::ffff:127.0.0.1]', '0', '169.254.169.254'])
    await t.rejects(fetch(`http://${host}/`), { code: 'fetch_refused' }, host)
  await close()
})

t.test('the connector by itself refuses literals, whatever was checked before it', async (t) => {
  const connect = createGuardedConnector({
    allow: createAllowList([]),
    resolve: systemResolve,
    connectTimeoutMs: 100,
    build: () => () => void t.fail('dialled'),
  })
  for (const hostname of ['127.0.0.1', '::1', '[::1]', '::ffff:10.0.0.1', '169.254.169.254'])
    connect(
      { hostname, protocol: 'http:', port: '' },
      (...[error]) => void t.match(error, { code: 'fetch_refused' }, hostname),
    )
})

t.test('redirects into private space are refused at the hop', async (t) => {
  const targets = [
    'http://169.254.169.254/latest/meta-data/',
    '//127.0.0.1/',
    'http://localhost/',
    'file:///etc/passwd',
    'http://[::1]/',
  ]
  const { fetch, origin } = await siteWith(
    t,
    http((req, res) => res.writeHead(302, { location: targets[Number(req.url!.slice(1))] }).end()),
  )
  for (const index of targets.keys())
    await t.rejects(fetch(`${origin}/${index}`), { code: 'fetch_refused' }, String(targets[index]))
})

t.test('a redirect loop ends after five hops', async (t) => {
  let hops = 0
  const { fetch, origin } = await siteWith(
    t,
    http((_, res) => res.writeHead(302, { location: `/${++hops}` }).end('x'.repeat(1000))),
  )
  await t.rejects(fetch(`${origin}/`), { code: 'fetch_too_many_redirects' })
  t.equal(hops, 6)
})

t.test('the caller may decline a redirect and gets it as the response', async (t) => {
  const { fetch, origin } = await siteWith(
    t,
    http((_, res) => res.writeHead(308, { location: '/next' }).end()),
  )
  const asked: string[] = []
  const response = await fetch(`${origin}/`, { followRedirect: (target) => (asked.push(target), false) })
  t.match(response, { status: 308, url: `${origin}/` })
  t.same(asked, [`${origin}/next`])
})

t.test('a gzip bomb is cut off at the cap of decoded bytes', async (t) => {
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024))
  const twice = gzipSync(bomb)
  const { fetch, origin } = await siteWith(
    t,
    http((req, res) => {
      const codings = req.url === '/twice' ? 'gzip, gzip' : 'gzip'
      res.writeHead(200, { 'content-encoding': req.url === '/thrice' ? 'gzip, gzip, gzip' : codings })
      res.end(req.url === '/once' ? bomb : twice)
    }),
  )
  const before = process.memoryUsage().arrayBuffers
  await t.rejects(fetch(`${origin}/once`, { maxBytes: 100_000 }), { code: 'fetch_too_large', retriable: false })
  await t.rejects(fetch(`${origin}/twice`, { maxBytes: 100_000 }), { code: 'fetch_too_large' })
  await t.rejects(fetch(`${origin}/thrice`), { code: 'fetch_failed' })
  t.ok(process.memoryUsage().arrayBuffers - before < 16 * 1024 * 1024)
  const start = await fetch(`${origin}/once`, { maxBytes: 100_000, overflow: 'truncate' })
  t.equal(start.body.length, 100_000)
})

t.test('a body announced or sent beyond the cap is refused', async (t) => {
  const { fetch, origin } = await siteWith(
    t,
    http((req, res) => {
      if (req.url === '/announced') res.setHeader('content-length', 5000)
      res.write('x'.repeat(2500))
      res.end('x'.repeat(2500))
    }),
  )
  await t.rejects(fetch(`${origin}/announced`, { maxBytes: 4999 }), { code: 'fetch_too_large' })
  await t.rejects(fetch(`${origin}/chunked`, { maxBytes: 4999 }), { code: 'fetch_too_large' })
  t.equal((await fetch(`${origin}/chunked`, { maxBytes: 5000 })).body.length, 5000)
})

t.test('a body that is not wanted is not read', async (t) => {
  const { fetch, origin } = await siteWith(
    t,
    http((_, res) => {
      res.writeHead(200, { 'content-type': 'video/mp4', 'content-length': 1e9 })
      res.write('x')
    }),
  )
  const response = await fetch(`${origin}/`, { wantBody: (_, headers) => headers['content-type'] === 'text/html' })
  t.match(response, { status: 200 })
  t.equal(response.body.length, 0)
})

t.test('a slow drip ends at the total deadline although it is never idle', async (t) => {
  const { fetch, origin } = await siteWith(
    t,
    http((_, res) => {
      const drip = setInterval(() => res.write('x'), 10)
      res.on('close', () => clearInterval(drip))
    }),
    { totalTimeoutMs: 150, idleTimeoutMs: 1000 },
  )
  await t.rejects(fetch(`${origin}/`), { code: 'fetch_timeout', retriable: true })
})

t.test('the deadline spans all hops', async (t) => {
  const { fetch, origin } = await siteWith(
    t,
    http((req, res) => {
      setTimeout(() => res.writeHead(302, { location: `${req.url}x` }).end(), 60)
    }),
    { totalTimeoutMs: 150 },
  )
  await t.rejects(fetch(`${origin}/`), { code: 'fetch_timeout' })
})

t.test('a server that never answers, or whose name never resolves, times out', async (t) => {
  const silent = await siteWith(t, createTcpServer(), { totalTimeoutMs: 100 })
  await t.rejects(silent.fetch(`${silent.origin}/`), { code: 'fetch_timeout' })
  const { fetch, close } = createGuardedFetch({
    userAgent: 'x',
    totalTimeoutMs: 50,
    resolve: () => new Promise(() => {}),
  })
  await t.rejects(fetch('http://slow-dns.example/'), { code: 'fetch_timeout' })
  await close()
})

t.test('endless headers are cut off', async (t) => {
  const { fetch, origin } = await siteWith(
    t,
    createTcpServer((socket) => {
      socket.on('error', () => {})
      socket.write('HTTP/1.1 200 OK\r\n')
      const more = () => {
        while (!socket.destroyed && socket.write(`x-${'a'.repeat(1000)}: ${'b'.repeat(1000)}\r\n`));
      }
      socket.on('drain', more)
      more()
    }),
    { totalTimeoutMs: 5000 },
  )
  await t.rejects(fetch(`${origin}/`), { code: 'fetch_failed', retriable: false })
})

t.test('a connection that breaks off fails, plain and compressed', async (t) => {
  const { fetch, origin } = await siteWith(
    t,
    createTcpServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', (request) => {
        const coding = String(request).includes('/gzip') ? 'content-encoding: gzip\r\n' : ''
        socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n${coding}\r\n`)
        socket.end(gzipSync(Buffer.from('x'.repeat(100))).subarray(0, 15))
      })
    }),
  )
  await t.rejects(fetch(`${origin}/`), { code: 'fetch_failed', retriable: true })
  await t.rejects(fetch(`${origin}/gzip`), { code: 'fetch_failed', retriable: true })
})

t.test('the caller can stop a fetch', async (t) => {
  const stop = new AbortController()
  const { fetch, origin } = await siteWith(
    t,
    http(() => stop.abort()),
  )
  await t.rejects(fetch(`${origin}/`, { signal: stop.signal }), { code: 'fetch_aborted', retriable: true })
  await t.rejects(fetch(`${origin}/`, { signal: stop.signal }), { code: 'fetch_aborted' })
})

t.test('robots.txt goes the same guarded way', async (t) => {
  const { fetch, origin } = await siteWith(
    t,
    http((_, res) => res.writeHead(302, { location: 'http://10.0.0.1/robots.txt' }).end()),
  )
  const robots = createRobots({ fetch, clock: { now: () => 0 }, userAgent: 'sluice-test/1', failureTtlMs: 5000 })
  t.match(await robots.check(`${origin}/a`), { allowed: false, retryAfterMs: 5000 })
})
