import { once } from 'node:events'
import { request } from 'node:http'
import { text } from 'node:stream/consumers'
import type { IncomingMessage } from 'node:http'
import t from 'tap'
import { startAdmin } from './admin.ts'
import { createMetrics } from './metrics.ts'
import type { RunningStage } from '../streams/runtime/run-stage.ts'

const stage = (name: string, { alive = true, ready = true } = {}) =>
  ({ name, isAlive: () => alive, isReady: () => ready }) as unknown as RunningStage

async function admin(
  t: { teardown: (close: () => Promise<void>) => unknown },
  { token = undefined as string | undefined, stages = [stage('chunker')] } = {},
) {
  const metrics = createMetrics()
  const server = await startAdmin({ host: '127.0.0.1', port: 0, token, stages, metrics })
  t.teardown(server.close)
  const ask = async (path: string, headers: Record<string, string> = {}, method = 'GET') => {
    const asked = request({ port: server.port, path, headers, method }).end()
    const [answer] = (await once(asked, 'response')) as [IncomingMessage]
    return { status: answer.statusCode, type: answer.headers['content-type'], body: await text(answer) }
  }
  return { ask, metrics, port: server.port }
}

t.test('healthy and ready stages answer 200', async (t) => {
  const { ask } = await admin(t)
  t.same(JSON.parse((await ask('/healthz')).body), { alive: true, silent: [] })
  t.same(JSON.parse((await ask('/readyz')).body), { ready: true, waiting: [] })
})

t.test('a stage that stands still, or is not ready, is 503 and named', async (t) => {
  const { ask } = await admin(t, { stages: [stage('crawler', { ready: false }), stage('chunker', { alive: false })] })
  const [health, ready] = [await ask('/healthz'), await ask('/readyz')]
  t.equal(health.status, 503)
  t.match(health.body, '["chunker"]')
  t.equal(ready.status, 503)
  t.match(ready.body, '["crawler"]')
})

t.test('metrics are in the format of Prometheus and count what the stages report', async (t) => {
  const { ask, metrics } = await admin(t)
  metrics.observer.resumed?.('chunker', { topic: 't', partition: 0 })
  const { status, type, body } = await ask('/metrics')
  t.equal(status, 200)
  t.match(type, 'text/plain')
  t.match(body, 'sluice_partition_resumes_total{stage="chunker"} 1')
  t.match(body, 'sluice_chunks_inserted_total')
  t.match(body, 'sluice_chunks_ignored_total')
})

t.test('with a token, metrics need it and probes do not', async (t) => {
  const { ask } = await admin(t, { token: 'a-token-of-sixteen-or-more' })
  t.equal((await ask('/healthz')).status, 200)
  t.equal((await ask('/metrics')).status, 401)
  t.equal((await ask('/metrics', { authorization: 'Bearer wrong' })).status, 401)
  t.equal((await ask('/metrics', { authorization: 'Bearer a-token-of-sixteen-or-morX' })).status, 401)
  t.equal((await ask('/metrics', { authorization: 'Bearer a-token-of-sixteen-or-more' })).status, 200)
  t.equal((await ask('/nothing')).status, 401, 'not even which paths there are')
})

t.test('with a token, a foreign name gets metrics and probes only', async (t) => {
  const { ask } = await admin(t, { token: 'a-token-of-sixteen-or-more' })
  const headers = { host: 'chunker:9400', authorization: 'Bearer a-token-of-sixteen-or-more' }
  for (const path of ['/healthz', '/readyz', '/metrics']) t.equal((await ask(path, headers)).status, 200, path)
  for (const path of ['/', '/status', '/api/lag']) t.equal((await ask(path, headers)).status, 403, path)
  t.equal((await ask('/nothing', { ...headers, host: '10.0.0.1:9400' })).status, 404)
})

t.test('other paths and methods are refused, odd ones too, and the server lives on', async (t) => {
  const { ask } = await admin(t)
  t.equal((await ask('/nothing')).status, 404)
  t.equal((await ask('/metrics', {}, 'POST')).status, 405)
  t.ok((await ask('//')).status! >= 400)
  t.ok((await ask('http://[')).status! >= 400)
  t.equal((await ask('/healthz?verbose=1')).status, 200)
})

t.test('a port that is taken is an error that names it', async (t) => {
  const { port } = await admin(t)
  await t.rejects(startAdmin({ host: '127.0.0.1', port, token: undefined, stages: [], metrics: createMetrics() }), {
    name: 'UserError',
    message: new RegExp(`127\\.0\\.0\\.1:${port} \\(EADDRINUSE\\)`),
    hint: /ADMIN_PORT/,
  })
})
