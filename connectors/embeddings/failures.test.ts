import t from 'tap'
import { readAnswer } from './answer.ts'
import { readRetryAfter } from './failures.ts'

const NOW = Date.parse('2026-01-01T00:00:00Z')
const wait = (headers: Record<string, string>) => readRetryAfter(new Headers(headers), NOW)

t.test('Retry-After is seconds, a date or milliseconds', async (t) => {
  t.equal(wait({ 'retry-after': '20' }), 20_000)
  t.equal(wait({ 'retry-after': '0.5' }), 500)
  t.equal(wait({ 'retry-after': 'Thu, 01 Jan 2026 06:00:00 GMT' }), 6 * 3_600_000)
  t.equal(wait({ 'retry-after': 'Wed, 31 Dec 2025 00:00:00 GMT' }), 0)
  t.equal(wait({ 'retry-after-ms': '1500', 'retry-after': '20' }), 1500)
  t.equal(wait({ 'retry-after': 'soon' }), undefined)
  t.equal(wait({}), undefined)
  t.equal(readRetryAfter(undefined, NOW), undefined)
})

const item = (index: unknown, embedding: unknown) => ({ index, embedding })

t.test('answers that do not fit are refused', async (t) => {
  for (const [body, why] of [
    [null, /no list/],
    [{ data: {} }, /no list/],
    [{ data: [item(0, [1, 2])] }, /1 vectors for 2/],
    [{ data: [item(0, [1, 2]), item(0, [1, 2])] }, /came twice/],
    [{ data: [item(0, [1, 2]), item(2, [1, 2])] }, /out of range/],
    [{ data: [item(0, [1, 2]), item(undefined, [1, 2])] }, /out of range/],
    [{ data: [item(0, [1, 2]), item(1, [1])] }, /1 dimensions/],
    [{ data: [item(0, [1, 2]), item(1, 'AAA=')] }, /no multiple of 4/],
    [{ data: [item(0, [1, 2]), item(1, null)] }, /neither/],
  ] as const)
    t.throws(() => readAnswer(body, 2, 2), { name: 'DependencyUnavailable', message: why })
})

t.test('unusable vectors are null, tiny ones are scaled instead of rounded away', async (t) => {
  const data = [
    [NaN, 1],
    [Infinity, 1],
    [0, 0],
    ['1', 1],
    [3e-8, -1e-8],
    [0.1234567, 1],
  ].map((embedding, i) => item(i, embedding))
  const { vectors, tokens } = readAnswer({ data, usage: { prompt_tokens: 9 } }, 6, 2)
  t.same(vectors, [null, null, null, null, '[1,-0.333333]', '[0.123457,1]'])
  t.equal(tokens, 9)
})
