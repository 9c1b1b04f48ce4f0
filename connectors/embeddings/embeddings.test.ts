import t from 'tap'
import type { Test } from 'tap'
import { hashedVector } from '../../ops/embedded/embeddings-hashing.ts'
import { startEmbeddingsServer } from '../../ops/embedded/embeddings-server.ts'
import type { Faults } from '../../ops/embedded/embeddings-server.ts'
import { countTokens } from '../../streams/3-chunker/tokens.ts'
import { systemClock } from '../../streams/runtime/ports.ts'
import type { Gate } from '../../streams/throttle/ports.ts'
import { createGate } from '../../streams/throttle/gate.ts'
import { createEmbeddings } from './embeddings.ts'
import type { EmbeddingsSeams, EmbeddingsSettings, RequestReport } from './embeddings.ts'

const DIMENSIONS = 32
const never = new AbortController().signal
const inputs = (...texts: string[]) => texts.map((text) => ({ text, tokens: countTokens(text) }))
const expected = (text: string) =>
  JSON.stringify(Array.from(hashedVector(text, DIMENSIONS), (value) => Math.round(value * 1e6) / 1e6))

async function connect(t: Test, over: Partial<EmbeddingsSettings> & { faults?: Faults } & EmbeddingsSeams = {}) {
  const server = await startEmbeddingsServer({ faults: over.faults ?? {} })
  const embeddings = createEmbeddings(
    {
      apiKey: 'test-key',
      baseUrl: server.url,
      model: 'm',
      dimensions: DIMENSIONS,
      maxInputsPerRequest: 8,
      maxTokensPerRequest: 1000,
      maxTokensPerInput: 200,
      lingerMs: 5,
      requestTimeoutMs: 5_000,
      maxInFlight: 2,
      ...over,
    },
    over,
  )
  t.teardown(async () => {
    await embeddings.close()
    await server.close()
  })
  return { server, ...embeddings }
}

const batches = (log: readonly { inputs: number }[]) => log.map(({ inputs }) => inputs)

t.test('vectors come back in the order of the inputs, as pgvector’s text, with the tokens billed', async (t) => {
  const { embed } = await connect(t)
  const { vectors, tokens } = await embed('acme', inputs('one', 'two', 'three apples'), never)
  t.same(vectors, ['one', 'two', 'three apples'].map(expected))
  t.equal(tokens, 4)
})

t.test('pages of several tenants share a request; each tenant is charged for its own', async (t) => {
  const bill = new Map<string, number>()
  const onUsage = (tenant: string, tokens: number) => bill.set(tenant, (bill.get(tenant) ?? 0) + tokens)
  const { embed, server } = await connect(t, { onUsage })
  const [a, b] = await Promise.all([
    embed('acme', inputs('alpha beta', 'gamma'), never),
    embed('other', inputs('delta delta delta delta'), never),
  ])
  t.same(batches(server.log), [3])
  t.same([a.vectors[1], b.vectors[0]], [expected('gamma'), expected('delta delta delta delta')])
  t.same([bill.get('acme'), bill.get('other')], [a.tokens, b.tokens])
  t.equal(a.tokens + b.tokens, server.log[0]?.tokens)
})

t.test('a batch closes by inputs and by tokens; a large page goes in several', async (t) => {
  const many = Array.from({ length: 20 }, (_, i) => `text number ${i}`)
  const byInputs = await connect(t)
  const { vectors } = await byInputs.embed('acme', inputs(...many), never)
  t.same(vectors, many.map(expected))
  t.same(batches(byInputs.server.log).sort(), [4, 8, 8])
  const byTokens = await connect(t, { maxTokensPerRequest: 10 })
  await byTokens.embed('acme', inputs(...many), never)
  for (const { tokens } of byTokens.server.log) t.ok(tokens <= 10)
})

t.test('a batch that is not full waits for the linger, a full one does not', async (t) => {
  const timers: (() => void)[] = []
  const clock = { now: () => 0, after: (_ms: number, call: () => void) => (timers.push(call), () => {}) }
  const { embed, server } = await connect(t, { clock, maxInputsPerRequest: 3 })
  const few = embed('acme', inputs('a', 'b'), never)
  t.equal(server.log.length, 0)
  t.equal(timers.length, 1)
  const more = embed('acme', inputs('c'), never)
  await Promise.all([few, more])
  t.same(batches(server.log), [3])
  const alone = embed('acme', inputs('d'), never)
  timers.at(-1)?.()
  await alone
  t.same(batches(server.log), [3, 1])
})

t.test('never more requests in flight than allowed', async (t) => {
  const { embed, server } = await connect(t, {
    maxInputsPerRequest: 1,
    maxInFlight: 2,
    faults: { latencyMs: 5, maxInFlight: 2 },
  })
  const texts = Array.from({ length: 12 }, (_, i) => `t${i}`)
  await Promise.all(texts.map((text) => embed('acme', inputs(text), never)))
  t.ok(server.log.every(({ status }) => status === 200))
})

t.test('reordered answers, and floats where base64 was asked for, reach the right input', async (t) => {
  for (const kind of ['reordered', 'floats'] as const) {
    const { embed } = await connect(t, { faults: { next: [{ kind }] } })
    const { vectors } = await embed('acme', inputs('one', 'two', 'three'), never)
    t.same(vectors, ['one', 'two', 'three'].map(expected), kind)
  }
  const { embed } = await connect(t, { encodingFormat: 'float' })
  t.same((await embed('acme', inputs('one'), never)).vectors, [expected('one')])
})

t.test('partial answers and wrong dimensions are refused, and no page is blamed', async (t) => {
  for (const kind of ['partial', 'dimensions'] as const) {
    const { embed } = await connect(t, { faults: { next: [{ kind }] } })
    await t.rejects(
      embed('acme', inputs('one', 'two'), never),
      { name: 'DependencyUnavailable', dependency: 'embeddings' },
      kind,
    )
  }
})

t.test('NaN and all zeros fail the page, retriable', async (t) => {
  for (const kind of ['nan', 'zeros'] as const) {
    const { embed } = await connect(t, { faults: { next: [{ kind }] } })
    await t.rejects(embed('acme', inputs('one'), never), { code: 'embedding_invalid', retriable: true }, kind)
  }
})

t.test('401, 403, 404, 408 and 5xx mean that nobody is served, at once and without a second try', async (t) => {
  for (const status of [401, 403, 404, 408, 500, 502, 503]) {
    const { embed, server } = await connect(t, { faults: { next: [{ kind: 'status', status }] } })
    await t.rejects(
      embed('acme', inputs('one'), never),
      { name: 'DependencyUnavailable', retryAfterMs: undefined },
      `${status}`,
    )
    t.equal(server.log.length, 1)
  }
})

t.test('a Retry-After beyond a second is passed on, of any length', async (t) => {
  for (const seconds of [2, 86_400]) {
    const { embed } = await connect(t, {
      faults: { next: [{ kind: 'status', status: 429, retryAfter: `${seconds}` }] },
    })
    await t.rejects(embed('acme', inputs('one'), never), {
      name: 'DependencyUnavailable',
      retryAfterMs: seconds * 1000,
    })
  }
})

t.test('no answer, a connection cut twice, nobody listening', async (t) => {
  const slow = await connect(t, { requestTimeoutMs: 50, faults: { next: [{ kind: 'hang' }] } })
  await t.rejects(slow.embed('acme', inputs('one'), never), { name: 'DependencyUnavailable', message: /timed out/ })
  const cut = await connect(t, { faults: { next: [{ kind: 'cut', times: 2 }] } })
  await t.rejects(cut.embed('acme', inputs('one'), never), { name: 'DependencyUnavailable' })
  t.equal(cut.server.log.length, 2)
  const gone = await connect(t)
  await gone.server.close()
  await t.rejects(gone.embed('acme', inputs('one'), never), { name: 'DependencyUnavailable' })
})

t.test('a batch refused for its size is halved until it fits', async (t) => {
  const { embed, server } = await connect(t, { faults: { maxInputs: 2 } })
  const { vectors } = await embed('acme', inputs('a', 'b', 'c', 'd', 'e'), never)
  t.same(vectors, ['a', 'b', 'c', 'd', 'e'].map(expected))
  t.ok(server.log.filter(({ status }) => status === 200).every(({ inputs }) => inputs <= 2))
})

t.test('a poison input fails its own page; the others of its batch are served', async (t) => {
  const { embed } = await connect(t, { faults: { rejectText: 'POISON' } })
  const [before, poisoned, after] = await Promise.allSettled([
    embed('acme', inputs('a', 'b'), never),
    embed('acme', inputs('c', 'POISON', 'd'), never),
    embed('other', inputs('e'), never),
  ])
  t.match(poisoned, { status: 'rejected', reason: { code: 'embedding_rejected', retriable: false } })
  t.match(before, { status: 'fulfilled', value: { vectors: [expected('a'), expected('b')] } })
  t.match(after, { status: 'fulfilled', value: { vectors: [expected('e')] } })
})

t.test('a server that refuses whatever is sent costs no page its place', async (t) => {
  const next = [{ kind: 'status' as const, status: 400, times: 100 }]
  const { embed } = await connect(t, { faults: { next } })
  await t.rejects(embed('acme', inputs('a', 'b'), never), {
    name: 'DependencyUnavailable',
    message: /whatever is sent/,
  })
})

t.test('a refused model or dimension is the configuration’s fault, not a page’s', async (t) => {
  const { embed } = await connect(t, { model: '' })
  await t.rejects(embed('acme', inputs('a'), never), { name: 'DependencyUnavailable' })
})

t.test('empty and oversized inputs are refused before anything is sent', async (t) => {
  const { embed, server } = await connect(t)
  await t.rejects(embed('acme', inputs('fine', ''), never), { code: 'embedding_rejected' })
  await t.rejects(embed('acme', [{ text: 'x', tokens: 201 }], never), { code: 'embedding_rejected' })
  t.same(await embed('acme', [], never), { vectors: [], tokens: 0 })
  t.equal(server.log.length, 0)
})

/** The in-flight gate with another way in. */
const gateWith = (acquire: Gate['acquire']): Gate => ({
  ...createGate({ name: 'embeddings', clock: systemClock, budgets: [], localSlots: 1, random: () => 0 }),
  acquire,
})

t.test('an aborted page leaves batches that are not sent yet', async (t) => {
  let open = () => {}
  const opened = new Promise<void>((resolve) => (open = resolve))
  const heard: (string | undefined)[] = []
  const gate = gateWith((_, signal) =>
    opened.then(() => (signal?.throwIfAborted(), (result) => heard.push(result?.kind))),
  )
  const { embed, server } = await connect(t, { gate, maxInputsPerRequest: 2 })
  const abort = new AbortController()
  const gone = embed('acme', inputs('a', 'b', 'c'), abort.signal)
  const stays = embed('acme', inputs('d'), never)
  abort.abort(new Error('partition lost'))
  await t.rejects(gone, { message: 'partition lost' })
  open()
  t.same((await stays).vectors, [expected('d')])
  t.same(batches(server.log), [1])
  t.same(heard, ['ok'])
  await t.rejects(embed('acme', inputs('e'), abort.signal), { message: 'partition lost' })
})

t.test('what passed the gate for pages that are gone is given back as unsent', async (t) => {
  const heard: (string | undefined)[] = []
  const abort = new AbortController()
  const gate = gateWith(async () => {
    abort.abort(new Error('partition lost'))
    return (result) => heard.push(result?.kind)
  })
  const { embed, server } = await connect(t, { gate })
  await t.rejects(embed('acme', inputs('a'), abort.signal), { message: 'partition lost' })
  await new Promise((resolve) => setImmediate(resolve))
  t.same(heard, ['unsent'])
  t.equal(server.log.length, 0)
})

t.test('a shut gate fails all that wait', async (t) => {
  const gate = gateWith(() => Promise.reject(new Error('circuit open')))
  const { embed } = await connect(t, { gate, maxInputsPerRequest: 1 })
  const all = await Promise.allSettled([embed('acme', inputs('a', 'b'), never), embed('other', inputs('c'), never)])
  for (const result of all) t.match(result, { status: 'rejected', reason: { message: 'circuit open' } })
})

t.test('the gate hears cost and result of every request, and so does who counts them', async (t) => {
  const heard: unknown[] = []
  const reports: RequestReport[] = []
  const gate = gateWith(async (ask) => (result) => void heard.push({ ...ask, ...result }))
  const faults: Faults = { next: [{ kind: 'status', status: 429, retryAfter: '3' }] }
  const { embed } = await connect(t, { gate, faults, onRequest: (report) => reports.push(report) })
  await t.rejects(embed('acme', inputs('one', 'two'), never))
  await embed('acme', inputs('one'), never)
  const takes = (tokens: number) => ({ embedding_requests: 1, embedding_tokens: tokens })
  t.match(heard, [
    { tenantId: '', lane: 'live', cost: 2, takes: takes(2), kind: 'throttled', retryAfterMs: 3000, latencyMs: Number },
    { tenantId: '', lane: 'live', cost: 1, takes: takes(1), kind: 'ok', latencyMs: Number },
  ])
  t.match(reports, [
    { status: 429, inputs: 2, tokens: 2, resend: false },
    { status: 200, inputs: 1, tokens: 1, resend: false },
  ])
})

t.test('a question gets one vector', async (t) => {
  const { embedQuery } = await connect(t)
  t.equal(await embedQuery('acme', ' why\0 '), expected('why'))
})

t.test('closing ends what is under way and what waits', async (t) => {
  const { embed, close } = await connect(t, {
    maxInFlight: 1,
    maxInputsPerRequest: 1,
    faults: { next: [{ kind: 'hang', times: 5 }] },
  })
  const all = Promise.allSettled([embed('acme', inputs('a'), never), embed('acme', inputs('b'), never)])
  await close()
  for (const result of await all) t.match(result, { status: 'rejected', reason: { name: 'DependencyUnavailable' } })
  await t.rejects(embed('acme', inputs('c'), never), { name: 'DependencyUnavailable' })
})
