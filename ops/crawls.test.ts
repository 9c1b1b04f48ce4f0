import t from 'tap'
import { createPassage } from './crawls.ts'
import type { PartitionLag } from './lag/offsets.ts'

/** A partition of a topic and of its retry topic, shared with tenants that never stop. */
function partition(ends: { topic: bigint; retry: bigint }) {
  const at = { topic: { committed: 0n, end: ends.topic }, retry: { committed: 0n, end: ends.retry } }
  const row = (topic: string, { committed, end }: { committed: bigint; end: bigint }): PartitionLag => ({
    ...{ group: 'g', topic, partition: 3, committed, low: 0n, end, lag: end - committed },
  })
  const look = async () => [row('prefix.pages.crawled', at.topic), row('prefix.pages.crawled.retry', at.retry)]
  return { at, left: createPassage('pages.crawled', 2, look) }
}

t.test('what others add behind a crawl’s last page is not waited for', async (t) => {
  const { at, left } = partition({ topic: 10n, retry: 0n })
  t.equal(await left(3), 10n)
  Object.assign(at.topic, { committed: 7n, end: 500n })
  t.equal(await left(3), 3n)
  Object.assign(at.topic, { committed: 10n, end: 900n })
  t.equal(await left(3), 0n)
  Object.assign(at.retry, { end: 4n })
  t.equal(await left(3), 0n, 'passed is passed')
})

t.test('a page that failed is waited for in the retry topic, as often as it is tried', async (t) => {
  const { at, left } = partition({ topic: 10n, retry: 0n })
  t.equal(await left(3), 10n)
  // It failed after the first look, and was put there before its offset was committed.
  Object.assign(at.topic, { committed: 10n, end: 20n })
  Object.assign(at.retry, { end: 2n })
  t.equal(await left(3), 2n)
  Object.assign(at.retry, { committed: 2n, end: 6n })
  t.equal(await left(3), 4n, 'it may have failed again, and be behind the others')
  Object.assign(at.retry, { committed: 6n, end: 60n })
  t.equal(await left(3), 0n, 'there is no third attempt')
})
