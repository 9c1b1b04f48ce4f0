import t from 'tap'
import { createFakeClock } from '../../ops/testing/fake-clock.ts'
import type { Ask, Feedback, Gate, Lane } from '../../streams/throttle/ports.ts'
import { createGate } from '../../streams/throttle/gate.ts'
import { createEmbeddings } from './embeddings.ts'
import type { EmbeddingsSeams } from './embeddings.ts'

const never = new AbortController().signal

interface Standing extends Ask {
  open: () => void
}

/** A gate that opens for one ask at a time, by hand; requests are answered at once, and noted by their texts. */
function connect(over: EmbeddingsSeams = {}) {
  const clock = createFakeClock()
  const standing: Standing[] = []
  const sent: string[][] = []
  const feedback: (Feedback | undefined)[] = []
  const leave = (one: Standing) => void standing.splice(standing.indexOf(one), 1)
  const gate: Gate = {
    ...createGate({ name: 'embeddings', clock, budgets: [], localSlots: 1, random: () => 0 }),
    acquire: (ask, signal) =>
      new Promise((resolve, reject) => {
        const open = () => (leave(one), resolve((result) => feedback.push(result)))
        const one = { ...ask, open }
        standing.push(one)
        signal?.addEventListener('abort', () => (leave(one), reject(signal.reason)))
      }),
  }
  const { embed } = createEmbeddings(
    {
      model: 'm',
      dimensions: 2,
      maxInputsPerRequest: 100,
      maxTokensPerRequest: 10_000,
      maxTokensPerInput: 5000,
      requestTimeoutMs: 1000,
      lingerMs: 5,
      maxInFlight: 1,
    },
    {
      clock,
      gate,
      send: async (texts) => {
        sent.push([...texts])
        return { vectors: texts.map(() => '[1,0]'), tokens: undefined, headers: new Headers() }
      },
      ...over,
    },
  )
  /** Inputs `tenant0`, `tenant1`, … of so many tokens. */
  const page = (tenantId: string, tokens: number[], lane?: Lane, signal = never) =>
    embed(tenantId, tokens.map((count, i) => ({ text: `${tenantId}${i}`, tokens: count })), signal, lane) // prettier-ignore
  const open = async () => {
    standing[0]?.open()
    await clock.settle()
  }
  const asked = () => standing.map(({ tenantId, lane, cost }) => [tenantId, lane, cost])
  return { clock, standing, sent, feedback, page, open, asked }
}

t.test('a small request that waits at the gate is made anew for what comes meanwhile, few times', async (t) => {
  const { clock, page, open, asked, sent, standing } = connect()
  const pages = [page('a', [100])]
  await clock.advance(5)
  t.same(asked(), [['', 'live', 100]])
  const seen = new Set<Standing | undefined>()
  for (let i = 0; i < 60; i++) {
    pages.push(page('a', [100]))
    await clock.settle()
    seen.add(standing[0])
  }
  t.ok(seen.size <= 7, `${seen.size} asks`)
  await open()
  t.ok((sent[0]?.length ?? 0) > 30, `${sent[0]?.length} inputs in the first request`)
  await open()
  t.equal(sent.flat().length, 61)
  await Promise.all(pages)
})

t.test('what goes is chosen when the gate opens: live before replay, another tenant beside a flood', async (t) => {
  const { clock, page, open, asked, sent } = connect({ batchTokens: () => 400 })
  void page('old', Array(50).fill(100), 'replay')
  await clock.settle()
  t.same(asked(), [['', 'replay', 400]])
  void page('flood', Array(50).fill(100))
  await clock.settle()
  t.same(asked(), [['', 'live', 400]])
  void page('late', [100])
  await open()
  await open()
  t.ok(sent.slice(0, 2).flat().includes('late0'))
  t.same(sent[0]?.slice(0, 2), ['flood0', 'flood1'])
})

t.test('a request holds the wished tokens at least, and the rate is charged for exactly what is sent', async (t) => {
  const { clock, page, open, sent, standing } = connect({ batchTokens: () => 250 })
  void page('a', Array(40).fill(100))
  await clock.settle()
  let paid = 0
  for (let i = 0; i < 12; i++) {
    const { embedding_requests: requests, embedding_tokens: tokens = 0 } = standing[0]?.takes ?? {}
    t.equal(requests, 1)
    paid += tokens
    await open()
    t.equal(sent[i]?.length, 3)
    // Each is off by the input that was not split, and the next pays for it.
    t.equal(sent.flat().length * 100 - paid, 50)
  }
})

t.test('without a wish whatever waits goes, up to what a request may hold', async (t) => {
  const { clock, page, open, sent, standing } = connect()
  void page('a', Array(250).fill(50))
  await clock.settle()
  t.equal(standing[0]?.cost, 5000)
  for (let i = 0; i < 3; i++) {
    await open()
    await clock.advance(5)
  }
  t.same(
    sent.map(({ length }) => length),
    [100, 100, 50],
  )
})

t.test('tenants with a limit of their own stand apart: who is held holds nobody else', async (t) => {
  const { clock, page, asked, standing, sent } = connect({ tenantLimited: (tenantId) => tenantId.startsWith('held') })
  void page('held', [100])
  void page('held2', [100])
  void page('free', [100])
  void page('other', [100])
  await clock.advance(5)
  t.same(asked(), [
    ['held', 'live', 100],
    ['held2', 'live', 100],
    ['', 'live', 200],
  ])
  standing[2]?.open()
  await clock.settle()
  t.same(sent, [['free0', 'other0']])
  t.equal(standing.length, 2)
})

t.test('an ask that nobody needs any more is withdrawn', async (t) => {
  const { clock, page, asked } = connect()
  const abort = new AbortController()
  const gone = page('a', [100], 'live', abort.signal)
  await clock.advance(5)
  t.equal(asked().length, 1)
  abort.abort(new Error('partition lost'))
  await t.rejects(gone, { message: 'partition lost' })
  await clock.settle()
  t.same(asked(), [])
  t.equal(clock.pending(), 0)
})
