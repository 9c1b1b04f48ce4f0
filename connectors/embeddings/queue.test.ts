import fc from 'fast-check'
import t from 'tap'
import type { Lane } from '../../streams/throttle/ports.ts'
import { createQueue, tokensOf } from './queue.ts'
import type { Item, Job, Queue } from './queue.ts'

const roomy = { maxInputsPerRequest: 2048, maxTokensPerRequest: 300_000 }

function page(tenantId: string, tokens: readonly number[], lane: Lane = 'live'): Item[] {
  const job: Job = {
    tenantId,
    lane,
    vectors: [],
    tokens: 0,
    missing: tokens.length,
    settled: false,
    succeed: () => {},
    fail: () => (job.settled = true),
  }
  return tokens.map((count, position) => ({
    text: `${tenantId} ${position}`,
    tokens: count,
    load: count,
    job,
    position,
  }))
}

const add = (queue: Queue, items: readonly Item[]) => {
  const { lane, tenantId } = (items[0] as Item).job
  queue.add(lane, tenantId, items)
}
const tenantsIn = (items: readonly Item[]) => new Set(items.map(({ job }) => job.tenantId))
const of = (tenantId: string, items: readonly Item[]) => items.filter(({ job }) => job.tenantId === tenantId)

t.test('a page of 10,000 chunks holds no other tenant’s page of 3 up: it goes with the next request', async (t) => {
  const queue = createQueue(roomy)
  add(queue, page('flood', Array(10_000).fill(150)))
  queue.take(2000)
  add(queue, page('small', [150, 150, 150]))
  const next = queue.take(2000)?.items ?? []
  t.equal(of('small', next).length, 3)
  t.ok(tokensOf(of('flood', next)) > 1000, 'and the rest of it is used')
})

t.test('a request is shared evenly, and a tenant alone takes all of it', async (t) => {
  const queue = createQueue(roomy)
  for (const tenantId of ['a', 'b', 'c', 'd']) add(queue, page(tenantId, Array(100).fill(100)))
  const shared = queue.take(8000)?.items ?? []
  for (const tenantId of ['a', 'b', 'c', 'd'])
    t.ok(Math.abs(tokensOf(of(tenantId, shared)) - 2000) <= 600, `${tenantId}: ${tokensOf(of(tenantId, shared))}`)
  const alone = createQueue(roomy)
  add(alone, page('a', Array(100).fill(100)))
  t.equal(tokensOf(alone.take(5000)?.items ?? []), 5000)
})

t.test('replay gets what live leaves, and a twentieth where it leaves nothing', async (t) => {
  const queue = createQueue(roomy)
  add(queue, page('old', Array(2000).fill(100), 'replay'))
  add(queue, page('new', [100, 100]))
  const first = queue.take(1000)?.items ?? []
  t.same([...tenantsIn(first.slice(0, 2))], ['new'])
  t.equal(of('old', first).length, 8)
  add(queue, page('new', Array(3000).fill(100)))
  const busy = Array.from({ length: 20 }, () => queue.take(10_000)?.items ?? []).flat()
  t.equal(tokensOf(of('old', busy)) / tokensOf(busy), 0.05)
})

t.test('inputs are taken until the wish is reached, within a request’s limits, and never split', async (t) => {
  const queue = createQueue({ maxInputsPerRequest: 5, maxTokensPerRequest: 1000 })
  add(queue, page('a', [300, 300, 300, 300, 10, 10, 10, 10, 10, 10, 5000]))
  const sizes = [500, 5000, 1, 1000, 1000, 1000].map((target) => queue.take(target)?.items.map(({ tokens }) => tokens))
  t.same(sizes, [[300, 300], [300, 300, 10, 10, 10], [10], [10, 10], [5000], undefined])
})

t.test('what the next request will hold is known about right before it is chosen', async (t) => {
  const queue = createQueue({ maxInputsPerRequest: 10, maxTokensPerRequest: 3000 })
  t.equal(queue.expected(null), 0)
  add(queue, page('a', [100, 100]))
  t.equal(queue.expected(null), 200)
  t.equal(queue.expected(150), 150)
  add(queue, page('a', Array(98).fill(100)))
  t.equal(queue.expected(null), 1000)
})

const tenant = fc.constantFrom('a', 'b', 'c', 'd')
const somePages = fc.array(
  fc.record({
    tenant,
    lane: fc.constantFrom<Lane>('live', 'replay'),
    tokens: fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 1 }),
  }),
  { maxLength: 12 },
)

t.test('every input is taken once, a page’s in their order, and no request is larger than it may be', async () => {
  fc.assert(
    fc.property(somePages, fc.integer({ min: 1, max: 3000 }), (pages, target) => {
      const queue = createQueue({ maxInputsPerRequest: 7, maxTokensPerRequest: 2000 })
      const all = pages.map((one) => page(one.tenant, one.tokens, one.lane))
      for (const items of all) add(queue, items)
      const taken = new Map<Job, number[]>()
      while (!queue.isEmpty()) {
        const items = queue.take(target)?.items ?? []
        if (items.length === 0 || items.length > 7 || tokensOf(items) > 2000) return false
        if (tokensOf(items.slice(0, -1)) >= target) return false
        for (const { job, position } of items) taken.set(job, [...(taken.get(job) ?? []), position])
      }
      return all.every((items) => {
        const positions = taken.get((items[0] as Item).job) ?? []
        return positions.length === items.length && positions.every((position, i) => position === i)
      })
    }),
  )
})

t.test('of two tenants that always have work neither is ever ahead by more than a turn and two inputs', async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 50, maxLength: 50 })
  fc.assert(
    fc.property(sizes, sizes, fc.integer({ min: 1, max: 3000 }), (a, b, target) => {
      const queue = createQueue(roomy)
      add(queue, page('a', a))
      add(queue, page('b', b))
      const left = { a: 50, b: 50 }
      let ahead = 0
      while (left.a > 0 && left.b > 0)
        for (const item of queue.take(target)?.items ?? []) {
          const id = item.job.tenantId as 'a' | 'b'
          left[id] -= 1
          ahead += id === 'a' ? item.tokens : -item.tokens
          if (left.a > 0 && left.b > 0 && Math.abs(ahead) > 1_024 + 2 * 900) return false
        }
      return true
    }),
  )
})

t.test('pages that are gone are neither counted nor taken', async (t) => {
  const queue = createQueue(roomy)
  const gone = page('a', [100, 100])
  add(queue, gone)
  add(queue, page('b', [50]))
  queue.putBack([{ items: gone.slice(0, 1), resends: 1 }])
  gone[0]?.job.fail(new Error('lost'))
  queue.dropUnwanted()
  t.equal(queue.expected(null), 50)
  t.same([...tenantsIn(queue.take(1000)?.items ?? [])], ['b'])
  queue.putBack([{ items: gone, resends: 1 }])
  t.ok(queue.isEmpty())
  t.equal(queue.take(1000), undefined)
})

t.test('a batch that comes back goes first, as it was', async (t) => {
  const queue = createQueue(roomy)
  const items = page('a', [100, 100])
  add(queue, page('b', [50]))
  queue.putBack([{ items, resends: 2 }])
  t.ok(queue.isFull(null))
  t.equal(queue.expected(10), 200)
  t.same(queue.take(10), { items, resends: 2 })
  t.equal(queue.take(10)?.items[0]?.job.tenantId, 'b')
})
