import fc from 'fast-check'
import t from 'tap'
import type { SourceState } from '../writes.ts'
import { decideWrite } from './versions.ts'

const state = (over: Partial<SourceState> = {}): SourceState => ({
  version: 5n,
  extractorVersion: 1,
  contentHash: 'b',
  chunkerVersion: 2,
  configFingerprint: 'f',
  status: 'active',
  ...over,
})

t.test('a newer page wins whatever chunked it, an older one never does', async (t) => {
  t.equal(decideWrite(null, state()), 'write')
  t.equal(decideWrite(state(), state({ version: 6n, chunkerVersion: 1 })), 'write')
  t.equal(decideWrite(state(), state({ version: 4n, chunkerVersion: 9 })), 'stale')
})

t.test('of one version, the greater content hash wins, then the newer chunker', async (t) => {
  t.equal(decideWrite(state(), state({ contentHash: 'c', chunkerVersion: 1 })), 'write')
  t.equal(decideWrite(state(), state({ contentHash: 'a' })), 'stale')
  t.equal(decideWrite(state(), state({ chunkerVersion: 3 })), 'write')
  t.equal(decideWrite(state(), state({ chunkerVersion: 1, configFingerprint: 'g' })), 'stale')
})

t.test('of one version, what a newer extractor made of the page wins, whatever its hash', async (t) => {
  t.equal(decideWrite(state(), state({ extractorVersion: 2, contentHash: 'a' })), 'write')
  t.equal(decideWrite(state({ extractorVersion: 2, contentHash: 'a' }), state()), 'stale')
})

t.test('the same again is unchanged, a changed configuration is written', async (t) => {
  t.equal(decideWrite(state(), state()), 'unchanged')
  t.equal(decideWrite(state(), state({ configFingerprint: 'g' })), 'write')
})

t.test('a page that is gone stays gone against its own version', async (t) => {
  t.equal(decideWrite(state({ status: 'gone', contentHash: '' }), state({ status: 'empty', contentHash: '' })), 'stale')
})

/** One configuration per chunker version, as deployed. */
const arrival: fc.Arbitrary<SourceState> = fc
  .record({
    version: fc.bigInt({ min: 1n, max: 3n }),
    extractorVersion: fc.integer({ min: 1, max: 2 }),
    contentHash: fc.constantFrom('', 'a', 'b'),
    chunkerVersion: fc.integer({ min: 1, max: 3 }),
    status: fc.constantFrom('active' as const, 'empty' as const, 'gone' as const),
  })
  .map((fields) => ({ ...fields, configFingerprint: `f${fields.chunkerVersion}` }))

const settle = (arrivals: readonly SourceState[]) =>
  arrivals.reduce<SourceState | null>(
    (stored, incoming) => (decideWrite(stored, incoming) === 'write' ? incoming : stored),
    null,
  )

t.test('every order of arrival, repeats included, ends in the same winner', async () => {
  fc.assert(
    fc.property(
      fc
        .array(arrival, { minLength: 1, maxLength: 12 })
        .chain((all) =>
          fc.tuple(fc.constant(all), fc.shuffledSubarray([...all, ...all], { minLength: all.length * 2 })),
        ),
      ([inOrder, shuffled]) => {
        const one = settle(inOrder)
        const other = settle(shuffled)
        return one !== null && other !== null && decideWrite(one, other) === 'unchanged' && one.status === other.status
      },
    ),
    { numRuns: 2000 },
  )
})
