import fc from 'fast-check'
import t from 'tap'
import { MAX_COST, QUANTUM, REPLAY_FLOOR, createFairQueue } from './fair-queue.ts'
import type { Entry, FairQueue } from './fair-queue.ts'

type Queue = FairQueue<number>
function serveNext(queue: Queue): Entry<number> | undefined {
  const head = queue.head()
  if (head) queue.serve(head)
  return head
}
function drain(queue: Queue): Entry<number>[] {
  const served: Entry<number>[] = []
  for (let head = serveNext(queue); head; head = serveNext(queue)) served.push(head)
  return served
}
const tenants = ['a', 'b', 'c', 'd', 'e']
const cost = fc.oneof(fc.integer({ min: 1, max: 3000 }), fc.integer({ min: 1, max: 40 }), fc.constant(30_000))

void t.test('before a head is served, no other tenant is served more than the bound', async () => {
  const step = fc.record({
    what: fc.constantFrom('add', 'add', 'add', 'serve', 'serve', 'remove', 'hold', 'ready'),
    tenant: fc.constantFrom(...tenants),
    cost,
  })
  fc.assert(
    fc.property(fc.array(step, { minLength: 30, maxLength: 400 }), (steps) => {
      const queue: Queue = createFairQueue()
      const largest = Math.max(...steps.map((step) => step.cost))
      /** Since its head came to the front of its line: what the others were served. */
      let watched: { entry: Entry<number>; served: Map<string, number> } | undefined
      const check = (head: Entry<number>) => {
        if (!watched) return true
        if (head === watched.entry) {
          watched = undefined
          return true
        }
        const sum = (watched.served.get(head.line.tenantId) ?? 0) + head.cost
        watched.served.set(head.line.tenantId, sum)
        return sum <= (Math.ceil(watched.entry.cost / QUANTUM) + 1) * QUANTUM + largest
      }
      for (const { what, tenant, cost } of steps) {
        const line = queue.line(tenant, 'live')
        if (what === 'add') queue.add(tenant, 'live', cost, 0)
        const first = line?.entries.first()
        if (what === 'remove' && first && watched?.entry !== first) queue.remove(first)
        if (what === 'hold' && line && !line.held && watched?.entry.line !== line) queue.hold(line)
        if (what === 'ready' && line?.held) queue.ready(line)
        if (what === 'serve') {
          const served = serveNext(queue)
          if (served && !check(served)) return false
        }
        const mine = queue.line('a', 'live')
        const head = mine?.entries.first()
        if (!watched && head && !mine!.held) watched = { entry: head, served: new Map() }
      }
      return drain(queue).every(check)
    }),
    { numRuns: 300 },
  )
})

void t.test('every entry is served once or removed, each tenant in order, whatever was removed and held', async () => {
  const add = fc.record({ tenant: fc.constantFrom(...tenants), cost, lane: fc.constantFrom('live', 'replay') })
  fc.assert(
    fc.property(fc.array(add, { maxLength: 120 }), fc.infiniteStream(fc.nat()), (adds, chance) => {
      const queue: Queue = createFairQueue()
      const random = (below: number) => (chance.next().value as number) % below
      const entries = adds.map(({ tenant, cost, lane }, index) => queue.add(tenant, lane, cost, index))
      const gone = new Set<number>()
      const out = new Map<string, number[]>()
      while (queue.size() > 0) {
        const entry = entries[random(entries.length)]!
        const left = random(4) === 0 && !gone.has(entry.item)
        if (left) queue.remove(entry)
        if (left) gone.add(entry.item)
        if (random(6) === 0 && !gone.has(entry.item)) queue.hold(entry.line)
        const head = serveNext(queue)
        if (!head || random(3) === 0) for (const line of queue.lines()) queue.ready(line)
        if (!head) continue
        if (gone.has(head.item)) return false
        gone.add(head.item)
        const key = `${head.line.lane} ${head.line.tenantId}`
        out.set(key, [...(out.get(key) ?? []), head.item])
      }
      const ordered = [...out.values()].every((items) => items.every((item, at) => at === 0 || items[at - 1]! < item))
      return ordered && gone.size === entries.length && queue.eligible() === 0
    }),
    { numRuns: 200 },
  )
})

void t.test('tenants with work share the cost evenly, whatever their requests are like', async (t) => {
  const queue: Queue = createFairQueue()
  for (let n = 0; n < 40_000; n += 1) queue.add('small', 'live', 50, n)
  for (let n = 0; n < 800; n += 1) queue.add('medium', 'live', 2500, n)
  for (let n = 0; n < 68; n += 1) queue.add('large', 'live', 30_000, n)
  const sums = new Map<string, number>()
  for (let total = 0; total < 3_000_000;) {
    const { line, cost } = serveNext(queue)!
    sums.set(line.tenantId, (sums.get(line.tenantId) ?? 0) + cost)
    total += cost
  }
  for (const [tenant, sum] of sums) t.ok(Math.abs(sum - 1_000_000) <= 2 * 30_000 + QUANTUM, `${tenant}: ${sum}`)
})

void t.test('where every request costs little, tenants take turns one by one', async (t) => {
  const queue: Queue = createFairQueue()
  for (let n = 0; n < 50; n += 1) for (const tenant of ['a', 'b']) queue.add(tenant, 'live', 1, n)
  t.same(
    drain(queue).map(({ line }) => line.tenantId),
    Array.from({ length: 100 }, (_, n) => 'ab'[n % 2]),
  )
})

void t.test('a tenant alone is served all the time, without a pause between its turns', async (t) => {
  const queue: Queue = createFairQueue()
  for (let n = 0; n < 500; n += 1) queue.add('a', 'live', 5000, n)
  t.same(
    drain(queue).map(({ item }) => item),
    Array.from({ length: 500 }, (_, n) => n),
  )
})

void t.test('a stream of new tenants does not keep a waiting one from its turn', async (t) => {
  const queue: Queue = createFairQueue()
  for (let n = 0; n < 10; n += 1) queue.add('old', 'live', QUANTUM, n)
  let served = 0
  for (let n = 0; n < 100; n += 1) {
    queue.add(`new-${n}`, 'live', 1, n)
    queue.add(`newer-${n}`, 'live', 1, n)
    if (serveNext(queue)!.line.tenantId === 'old') served += 1
  }
  t.ok(served >= 5, `served ${served} times among 100`)
})

void t.test('nor do tenants that take back a large request to come earlier with a small one', async (t) => {
  const queue: Queue = createFairQueue()
  for (let n = 0; n < 10; n += 1) queue.add('old', 'live', QUANTUM, n)
  let served = 0
  for (let n = 0; n < 100; n += 1) {
    for (const tenant of [`new-${n}`, `newer-${n}`]) {
      const large = queue.add(tenant, 'live', 30_000, n)
      queue.add(tenant, 'live', 1, n)
      queue.remove(large)
    }
    if (serveNext(queue)!.line.tenantId === 'old') served += 1
  }
  t.ok(served >= 5, `served ${served} times among 100`)
})

void t.test('when a large request is taken back, the small one behind it does not wait for its rounds', async (t) => {
  const queue: Queue = createFairQueue()
  for (let n = 0; n < 50; n += 1) queue.add('b', 'live', QUANTUM, n)
  const large = queue.add('a', 'live', 30_000, 0)
  queue.add('a', 'live', QUANTUM, 1)
  queue.remove(large)
  const first = drain(queue).findIndex(({ line }) => line.tenantId === 'a')
  t.ok(first <= 2, `place ${first}`)
})

void t.test('a tenant whose requests come one by one is not served twice before the others', async (t) => {
  const queue: Queue = createFairQueue()
  for (let n = 0; n < 50; n += 1) queue.add('a', 'live', QUANTUM, n)
  for (let n = 0; n < 50; n += 1) queue.add('b', 'live', QUANTUM, n)
  const order: string[] = []
  queue.add('single', 'live', QUANTUM, 0)
  while (order.length < 60) {
    const { tenantId } = serveNext(queue)!.line
    order.push(tenantId)
    if (tenantId === 'single') queue.add('single', 'live', QUANTUM, 0)
  }
  const counts = ['a', 'b', 'single'].map((tenant) => order.filter((each) => each === tenant).length)
  t.ok(Math.max(...counts) - Math.min(...counts) <= 2, counts.join(' '))
})

void t.test('one that is held is passed over, keeps its place, and saves nothing up meanwhile', async (t) => {
  const queue: Queue = createFairQueue()
  for (let n = 0; n < 100; n += 1) for (const tenant of ['a', 'b']) queue.add(tenant, 'live', QUANTUM, n)
  const line = queue.line('a', 'live')!
  queue.hold(line)
  for (let n = 0; n < 50; n += 1) t.equal(serveNext(queue)!.line.tenantId, 'b')
  queue.ready(line)
  const next = Array.from({ length: 20 }, () => serveNext(queue)!)
  const mine = next.filter((entry) => entry.line === line)
  t.equal(mine[0]!.item, 0)
  t.ok(mine.length >= 9 && mine.length <= 12, `${mine.length} of 20`)
})

void t.test('replay takes what live leaves, and a twentieth while live never ends', async (t) => {
  const queue: Queue = createFairQueue()
  for (let n = 0; n < 2000; n += 1) {
    queue.add('a', 'replay', 300, n)
    queue.add('b', 'live', 700, n)
  }
  const sums = { live: 0, replay: 0 }
  for (let n = 0; n < 1000; n += 1) {
    const { line, cost } = serveNext(queue)!
    sums[line.lane] += cost
  }
  const share = sums.replay / (sums.live + sums.replay)
  t.ok(Math.abs(share - REPLAY_FLOOR) < 0.005, `share ${share}`)
  queue.hold(queue.line('b', 'live')!)
  for (let n = 0; n < 100; n += 1) t.equal(serveNext(queue)!.line.lane, 'replay')
})

void t.test('live comes before a replay that stands first', async (t) => {
  const queue: Queue = createFairQueue()
  queue.add('a', 'replay', 10, 0)
  t.equal(queue.head()!.line.lane, 'replay')
  queue.add('b', 'live', 10, 0)
  t.equal(queue.head()!.line.lane, 'live')
})

void t.test('a cost beyond all bounds is capped, and one of nothing still counts', async (t) => {
  const queue: Queue = createFairQueue()
  t.equal(queue.add('a', 'live', Infinity, 0).cost, MAX_COST)
  t.equal(queue.add('b', 'live', 0, 0).cost, 1)
  t.equal(drain(queue).length, 2)
})
