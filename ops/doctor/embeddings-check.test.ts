import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { examine } from '../testing/examine.ts'
import { startEmbeddingsServer } from '../embedded/embeddings-server.ts'

/** An embeddings server that answers all requests alike. */
async function answering(status: number, body: object): Promise<string> {
  const server = createServer((_, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }).listen(0, '127.0.0.1')
  await new Promise((listening) => server.once('listening', listening))
  t.teardown(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
}
const embeddings = async (url: string, dimensions = 32) =>
  (await examine({ OPENAI_BASE_URL: url, EMBEDDING_DIMENSIONS: String(dimensions), OPENAI_API_KEY: 'secret-word' }))[
    'embeddings'
  ]

t.test('a server that answers with the vectors that are asked for is well, whatever else is away', async (t) => {
  const server = await startEmbeddingsServer()
  t.teardown(server.close)
  t.match(await embeddings(server.url), { state: 'ok', detail: /32 dimensions/ })
})

t.test('each way to be set up wrongly names its variable', async (t) => {
  const refusals: [number, object, RegExp][] = [
    [401, { error: { message: 'Incorrect API key provided', type: 'invalid_request_error' } }, /OPENAI_API_KEY/],
    [403, { error: { message: 'no access to the model' } }, /OPENAI_API_KEY or EMBEDDING_MODEL/],
    [404, { error: { message: 'The model does not exist' } }, /EMBEDDING_MODEL/],
    [400, { error: { message: 'not so many', param: 'dimensions' } }, /EMBEDDING_DIMENSIONS/],
    [429, { error: { message: 'You exceeded your quota', code: 'insufficient_quota' } }, /quota/],
    [503, { error: { message: 'overloaded' } }, /OPENAI_BASE_URL/],
  ]
  for (const [status, body, hint] of refusals) {
    const found = await embeddings(await answering(status, body))
    t.match(found, { state: 'bad', detail: String(status), hint }, String(status))
    t.notMatch(JSON.stringify(found), 'secret-word')
  }
})

t.test('vectors of other dimensions than the settings’ are bad, and both are named', async (t) => {
  const url = await answering(200, { data: [{ index: 0, embedding: Array.from({ length: 8 }, () => 0.1) }] })
  t.match(await embeddings(url), { state: 'bad', detail: /8 dimensions, 32/, hint: /EMBEDDING_DIMENSIONS/ })
})

t.test('a server that asks for patience is there', async (t) => {
  const url = await answering(429, { error: { message: 'slow down', type: 'requests' } })
  t.match(await embeddings(url), { state: 'warn', hint: /sluice limit embeddings/ })
})
