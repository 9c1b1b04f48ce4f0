import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { hashedVector } from './embeddings-hashing.ts'
import { startEmbeddingsServer } from './embeddings-server.ts'

const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0)
const vector = (text: string) => hashedVector(text, 512)

t.test('vectors have length one and are the same every time', async (t) => {
  for (const text of ['How do I return shoes?', '靴を返品するには', 'คืนสินค้าอย่างไร', '!?', '😀']) {
    t.ok(Math.abs(dot(vector(text), vector(text)) - 1) < 1e-5, text)
    t.same(vector(text), vector(text))
  }
})

t.test('texts that share words, word parts or signs are nearer than others, in any script', async (t) => {
  const cases = [
    ['How can I return my shoes?', 'Shoes may be returned within thirty days.', 'The museum opens at nine.'],
    ['如何退货？', '您可以在三十天内退货。', '博物馆九点开门。'],
    ['как вернуть обувь', 'Обувь можно вернуть в течение месяца.', 'Музей открыт с девяти часов.'],
    ['كيف أعيد الحذاء', 'يمكنك إعادة الحذاء خلال شهر', 'يفتح المتحف في التاسعة'],
  ] as const
  for (const [question, near, far] of cases)
    t.ok(dot(vector(question), vector(near)) > dot(vector(question), vector(far)) + 0.05, question)
})

const post = (url: string, body: object) => fetch(`${url}/embeddings`, { method: 'POST', body: JSON.stringify(body) })

t.test('answers as OpenAI does: both formats, the dimensions asked for, the usage', async (t) => {
  const server = await startEmbeddingsServer()
  t.teardown(server.close)
  const body = { model: 'm', input: ['one', 'two words'], dimensions: 64 }
  const floats = await (await post(server.url, { ...body, encoding_format: 'float' })).json()
  const base64 = await (await post(server.url, { ...body, encoding_format: 'base64' })).json()
  t.match(floats, { object: 'list', model: 'm', usage: { prompt_tokens: 3 }, data: [{ index: 0 }, { index: 1 }] })
  const bytes = Buffer.from(base64.data[1].embedding, 'base64')
  t.equal(bytes.length, 64 * 4)
  t.equal(bytes.readFloatLE(8), Math.fround(floats.data[1].embedding[2]))
  t.match(await (await fetch(`${server.url}/models`)).json(), { data: [{ id: 'sluice-hash-v1' }] })
})

t.test('wrong requests are refused', async (t) => {
  const server = await startEmbeddingsServer()
  t.teardown(server.close)
  for (const wrong of [
    { input: [] },
    { input: [''] },
    { input: [1] },
    { dimensions: 0 },
    { encoding_format: 'x' },
    { model: '' },
  ])
    t.equal((await post(server.url, { model: 'm', input: 'text', ...wrong })).status, 400, JSON.stringify(wrong))
  t.equal((await fetch(`${server.url}/embeddings`, { method: 'POST', body: '{' })).status, 400)
  t.equal((await fetch(`${server.url}/chat`)).status, 404)
})

t.test('another process sets faults and reads what arrived', async (t) => {
  const server = await startEmbeddingsServer()
  t.teardown(server.close)
  const root = server.url.replace('/v1', '')
  const faults = { next: [{ kind: 'status', status: 429, retryAfter: '7', times: 2 }] }
  await fetch(`${root}/faults`, { method: 'POST', body: JSON.stringify(faults) })
  const statuses = []
  for (let i = 0; i < 3; i++) {
    const response = await post(server.url, { model: 'm', input: ['a', 'b'] })
    statuses.push([response.status, response.headers.get('retry-after')])
  }
  t.same(statuses, [
    [429, '7'],
    [429, '7'],
    [200, null],
  ])
  t.match(await (await fetch(`${root}/stats`)).json(), {
    requests: 3,
    inputs: 6,
    embedded: 2,
    status: { 200: 1, 429: 2 },
  })
  t.equal((await (await fetch(`${root}/log`)).json()).length, 3)
})

t.test('as a script it says its port and ends with its stdin', async (t) => {
  const script = join(import.meta.dirname, 'embeddings-server.ts')
  const child = spawn(process.execPath, [script, '--port', '0'], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  const { port } = JSON.parse(line)
  t.equal((await fetch(`http://127.0.0.1:${port}/v1/models`)).status, 200)
  child.stdin.end()
  t.same(await once(child, 'exit'), [0, null])
})
