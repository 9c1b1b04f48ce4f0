import t from 'tap'
import { exhaustedFor, holdBefore, readAllowances, readDuration } from './rate-headers.ts'

const headers = (unit: 'requests' | 'tokens', limit: string, remaining: string, reset: string) => ({
  [`x-ratelimit-limit-${unit}`]: limit,
  [`x-ratelimit-remaining-${unit}`]: remaining,
  [`x-ratelimit-reset-${unit}`]: reset,
})
const read = (...all: Record<string, string>[]) => readAllowances(new Headers(Object.assign({}, ...all)))

t.test('durations are read in every form that providers use', async (t) => {
  for (const [text, ms] of [
    ['1s', 1000],
    ['6m0s', 360_000],
    ['20ms', 20],
    ['8.64s', 8640],
    ['1h2m3.5s', 3_723_500],
    ['1d', 86_400_000],
    ['12', 12_000],
    ['', undefined],
    ['soon', undefined],
    ['-1s', undefined],
    ['2026-01-01T00:00:00Z', undefined],
  ] as const)
    t.equal(readDuration(text), ms, text)
})

t.test('while enough is left nothing is held back', async (t) => {
  t.equal(holdBefore(500, read()), 0)
  t.equal(holdBefore(500, read(headers('tokens', '60000', '500', '59s'), headers('requests', '60', '1', '59s'))), 0)
})

t.test('what is missing is waited for, not that all of it is back', async (t) => {
  const tokens = read(headers('tokens', '1000000', '150000', '51s'))
  t.equal(Math.round(holdBefore(200_000, tokens)), 3000)
  t.equal(holdBefore(1, read(headers('requests', '60', '0', '60s'))), 1000)
  // A limit of a day: the next request is there after its 10,000th part.
  t.equal(holdBefore(1, read(headers('requests', '10000', '9999', '8.64s'))), 0)
  t.equal(holdBefore(1, read(headers('requests', '1440', '0', '1d'))), 60_000)
  // Enforced over seconds: never longer than until all is back.
  t.equal(holdBefore(1, read(headers('requests', '240', '0', '1.25s'))), 250)
  t.equal(holdBefore(1, read(headers('requests', '1', '0', '2s'))), 2000)
})

t.test('a hold of more than a minute is none', async (t) => {
  t.equal(holdBefore(1, read(headers('requests', '100', '0', '1d'))), 0)
  t.equal(holdBefore(1, read({ 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': '30s' })), 30_000)
  t.equal(holdBefore(1, read({ 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': '61s' })), 0)
})

t.test('a refusal without Retry-After lasts until what has run out is back', async (t) => {
  t.equal(exhaustedFor(read(headers('requests', '60', '0', '30s'), headers('tokens', '9', '1', '50s'))), 30_000)
  t.equal(exhaustedFor(read(headers('requests', '60', '0', '2m0s'))), undefined)
  t.equal(exhaustedFor(read(headers('requests', '60', '1', '1s'))), undefined)
})
