import t from 'tap'
import type { Test } from 'tap'
import { startEmbeddingsServer } from '../../ops/embedded/embeddings-server.ts'
import type { Fault, Faults } from '../../ops/embedded/embeddings-server.ts'
import { createFakeClock } from '../../ops/testing/fake-clock.ts'
import { createGate } from '../../streams/throttle/gate.ts'
import { createEmbeddings } from './embeddings.ts'
import type { EmbeddingsSeams, LearnedLimits, RequestReport } from './embeddings.ts'

const never = new AbortController().signal
const status = (code: number, more: Omit<Fault & { kind: 'status' }, 'kind' | 'status'> = {}): Fault => ({
  kind: 'status',
  status: code,
  ...more,
})

/** A real server and a clock that stands still: what is sent again has waited for the gate and for nothing else. */
async function connect(t: Test, faults: Faults, over: EmbeddingsSeams = {}) {
  const server = await startEmbeddingsServer({ faults })
  const clock = createFakeClock()
  const gate = createGate({ name: 'embeddings', clock, budgets: [], localSlots: 4, random: () => 0 })
  const holds: number[] = []
  const heard: object[] = []
  const limits: LearnedLimits[] = []
  const reports: RequestReport[] = []
  const { embed, close } = createEmbeddings(
    {
      apiKey: 'k',
      baseUrl: server.url,
      model: 'm',
      dimensions: 8,
      maxInputsPerRequest: 1,
      maxTokensPerRequest: 1000,
      maxTokensPerInput: 200,
      lingerMs: 5,
      requestTimeoutMs: 5000,
      maxInFlight: 4,
    },
    {
      clock,
      gate: { ...gate, cooldown: (forMs) => (holds.push(forMs), gate.cooldown(forMs)) },
      random: () => 1,
      breaker: { failed: (failure) => heard.push(failure), succeeded: () => heard.push({ succeeded: true }) },
      onLimits: (learned) => limits.push(learned),
      onRequest: (report) => reports.push(report),
      ...over,
    },
  )
  t.teardown(async () => {
    await close()
    await server.close()
  })
  const page = (text: string) => embed('acme', [{ text, tokens: 1 }], never)
  /** Until a condition holds, by real I/O; the clock stays where it is. */
  const until = async (condition: () => boolean) => {
    while (!condition()) await clock.settle()
  }
  return { server, clock, page, until, holds, heard, limits, reports }
}

const statuses = (log: readonly { status: number }[]) => log.map((line) => line.status)

t.test('a 429 is sent again when the gate opens: the page does not fail, and the batch stays as it was', async (t) => {
  const { server, clock, page, until, holds, heard, reports } = await connect(t, { next: [status(429)] })
  const served = page('one')
  await until(() => holds.length === 1)
  const behind = page('two')
  await clock.advance(249)
  t.same(statuses(server.log), [429])
  await clock.advance(1)
  t.equal((await served).vectors.length, 1)
  await behind
  t.same(statuses(server.log), [429, 200, 200])
  t.same(
    reports.map(({ resend }) => resend),
    [false, true, false],
  )
  t.same(heard, [{ succeeded: true }, { succeeded: true }], 'the breaker hears of no failure')
})

t.test('a Retry-After of up to a second is waited for in place, to the millisecond', async (t) => {
  const { server, clock, page, until, holds } = await connect(t, { next: [status(429, { retryAfter: '0.7' })] })
  const served = page('one')
  await until(() => holds.length === 1)
  await clock.advance(699)
  t.equal(server.log.length, 1)
  await clock.advance(1)
  await served
  t.same(holds, [700])
})

t.test('a longer one fails the pages at once with it, and opens the circuit', async (t) => {
  for (const code of [429, 503]) {
    const { server, page, holds, heard } = await connect(t, { next: [status(code, { retryAfter: '20' })] })
    await t.rejects(page('one'), { name: 'DependencyUnavailable', retryAfterMs: 20_000 })
    t.same(statuses(server.log), [code])
    t.same(holds, [])
    t.match(heard, [{ retryAfterMs: 20_000, trip: true }])
  }
})

t.test('after four resends with a growing backoff the page gives up, and the breaker hears it', async (t) => {
  const { server, clock, page, until, holds, heard } = await connect(t, { next: [status(429, { times: 100 })] })
  const refused = t.rejects(page('one'), { name: 'DependencyUnavailable', retryAfterMs: undefined })
  for (let resends = 1; resends <= 4; resends++) {
    await until(() => holds.length === resends)
    await clock.advance(holds.at(-1) ?? 0)
  }
  await refused
  t.same(holds, [250, 500, 1000, 2000])
  t.equal(server.log.length, 5)
  t.match(heard, [{ trip: false, message: /Played status 429/ }])
  t.equal(heard.length, 1)
})

t.test('the backoff grows over pages up to eight seconds, and a success starts it anew', async (t) => {
  const next: Fault[] = [status(429, { times: 11 }), { kind: 'reordered' }, status(429)]
  const { clock, page, until, holds } = await connect(t, { next })
  const tried = async (text: string, resends: number) => {
    const before = holds.length
    const result = page(text).then(
      () => 'served',
      () => 'refused',
    )
    for (let resend = 1; resend <= resends; resend++) {
      await until(() => holds.length === before + resend)
      await clock.advance(holds.at(-1) ?? 0)
    }
    return [await result, ...holds.slice(before)]
  }
  t.same(await tried('a', 4), ['refused', 250, 500, 1000, 2000])
  t.same(await tried('b', 4), ['refused', 4000, 8000, 8000, 8000])
  t.same(await tried('c', 1), ['served', 8000])
  t.same(await tried('d', 1), ['served', 250])
})

t.test(
  'requests that are refused together are one sign of overload, and who waits for their places is held too',
  async (t) => {
    const { server, clock, page, until, holds } = await connect(t, { next: [status(429, { times: 4 })] })
    const pages = ['a', 'b', 'c', 'd', 'waits'].map(page)
    await until(() => holds.length === 4)
    t.same(holds, [250, 250, 250, 250])
    await clock.advance(249)
    t.equal(server.log.length, 4)
    await clock.advance(1)
    await Promise.all(pages)
  },
)

t.test('an empty account and a wrong key open the circuit at once', async (t) => {
  for (const fault of [status(429, { code: 'insufficient_quota' }), status(401), status(403), status(404)]) {
    const { server, page, heard } = await connect(t, { next: [fault] })
    await t.rejects(page('one'), { name: 'DependencyUnavailable' })
    t.equal(server.log.length, 1)
    t.match(heard, [{ trip: true }])
  }
})

t.test('a server that is away counts for the breaker and is not asked again', async (t) => {
  const { server, page, heard, reports } = await connect(t, { next: [status(503)] })
  await t.rejects(page('one'), { name: 'DependencyUnavailable' })
  t.match(heard, [{ trip: false }])
  await server.close()
  await t.rejects(page('two'), { name: 'DependencyUnavailable' })
  t.equal(heard.length, 2)
  t.match(reports, [{ status: 503 }, { status: 'cut' }])
})

t.test('a connection that is cut is tried once more, and says nothing to the breaker', async (t) => {
  const { server, page, heard, reports } = await connect(t, { next: [{ kind: 'cut' }] })
  t.equal((await page('one')).vectors.length, 1)
  t.same(statuses(server.log), [0, 200])
  t.same(heard, [{ succeeded: true }])
  t.match(reports, [
    { status: 'cut', resend: false },
    { status: 200, resend: true },
  ])
})

t.test('a page that is gone while its batch waits to be sent again is not sent', async (t) => {
  const abort = new AbortController()
  const server = await startEmbeddingsServer({ faults: { next: [status(429)] } })
  const clock = createFakeClock()
  const gate = createGate({ name: 'embeddings', clock, budgets: [], localSlots: 1, random: () => 0 })
  const settings = { apiKey: 'k', baseUrl: server.url, model: 'm', dimensions: 8, maxInputsPerRequest: 8 }
  const { embed, close } = createEmbeddings(
    { ...settings, maxTokensPerRequest: 99, maxTokensPerInput: 9, lingerMs: 0, requestTimeoutMs: 5000, maxInFlight: 1 },
    { clock, gate, random: () => 1 },
  )
  t.teardown(async () => (await close(), await server.close()))
  const gone = embed('a', [{ text: 'gone', tokens: 1 }], abort.signal)
  const stays = embed('b', [{ text: 'stays', tokens: 1 }], never)
  await clock.advance(0)
  while (gate.waitMs({ tenantId: '', lane: 'live', cost: 1 }).ms === 0) await clock.settle()
  abort.abort(new Error('partition lost'))
  await t.rejects(gone, { message: 'partition lost' })
  await clock.advance(250)
  await stays
  t.same(
    server.log.map(({ inputs }) => inputs),
    [2, 1],
  )
})

t.test('limits that the provider names are passed on once, and what they forbid is held back', async (t) => {
  const rate = { requestsPerMinute: 60, tokensPerMinute: 60_000, burstMs: 500 }
  const { clock, page, holds, limits, server } = await connect(t, { rate })
  await page('one')
  t.same(limits, [{ requestsPerMinute: 60, tokensPerMinute: 60_000 }])
  // The second would be refused for another half second: it waits here, and no 429 comes.
  t.ok((holds[0] ?? 0) > 0 && (holds[0] ?? 0) <= 1000)
  const second = page('two')
  await clock.advance((holds[0] ?? 0) - 1)
  t.equal(server.log.length, 1)
  server.setFaults({ rate })
  await clock.advance(1)
  await second
  t.equal(limits.length, 1)
})

t.test('a resent batch goes before what waits', async (t) => {
  const { clock, page, until, holds, server } = await connect(t, { next: [status(429)] })
  const first = page('bench:first')
  await until(() => holds.length === 1)
  const rest = [page('bench:b'), page('bench:c')]
  await clock.advance(250)
  await Promise.all([first, ...rest])
  t.same(
    server.log.slice(0, 2).map(({ markers }) => markers[0]),
    ['first', 'first'],
  )
})
