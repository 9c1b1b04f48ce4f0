import t from 'tap'
import { countTokens } from './tokens.ts'

t.test('counts as cl100k_base does', async (t) => {
  t.equal(countTokens(''), 0)
  t.equal(countTokens('hello world'), 2)
  t.equal(countTokens('Hello, world! 1234567'), 8)
  t.equal(countTokens('お誕生日おめでとう'), 9)
})

t.test('special tokens in a text are text', async (t) => {
  t.ok(countTokens('before <|endoftext|> after') > 4)
})

t.test('a lone surrogate counts', async (t) => {
  t.ok(countTokens('a\ud800b') > 0)
})

t.test('a megabyte without a space is counted in a moment', async (t) => {
  const began = performance.now()
  t.ok(countTokens('a'.repeat(1_000_000)) >= 125_000)
  t.ok(countTokens(' '.repeat(1_000_000)) > 0)
  t.ok(countTokens('漢字'.repeat(200_000)) >= 400_000)
  t.ok(countTokens('!?'.repeat(200_000)) > 0)
  // Uncut, the first alone takes minutes.
  t.ok(performance.now() - began < 10_000)
})

t.test('cutting long runs adds at most one token a cut', async (t) => {
  const run = 'https://example.org/a/rather/long/path/that/goes/on/and/on?with=parameters&and=more#fragment-of-it'
  const words = run.match(/.{1,30}/g) ?? []
  const apart = words.reduce((sum, word) => sum + countTokens(word), 0)
  t.ok(countTokens(run) <= apart)
})
