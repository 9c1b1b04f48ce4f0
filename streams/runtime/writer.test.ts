import fc from 'fast-check'
import t from 'tap'
import { deferred, fakeAssignment, partition } from '../../ops/testing/runtime-fakes.ts'
import type { Deferred } from '../../ops/testing/runtime-fakes.ts'
import { DependencyUnavailable, Fenced, StageError } from '../errors.ts'
import type { Assignment } from './assignments.ts'
import type { LedgerPosition, Store, StoreWrite, WriteResult } from './ports.ts'
import { createWriter } from './writer.ts'

const turn = () => new Promise((resolve) => setImmediate(resolve))
const written: WriteResult = { change: 'applied', rows: 1, inserted: 1, deleted: 0, ignored: 0 }
const admission = (name: string, urls = 1): StoreWrite => ({
  type: 'frontier',
  tenantId: 'acme',
  crawlId: name,
  urls: Array.from({ length: urls }, (_, index) => `https://a.example/${index}`),
  maxPages: 1,
  maxDepth: 1,
  chunkType: 'website',
})
const nameOf = (write: StoreWrite) => (write.type === 'frontier' ? write.crawlId : write.sourceId)

interface Call {
  readonly writes: string[]
  readonly ledger: readonly LedgerPosition[]
  readonly answer: Deferred<WriteResult[]>
}
/** A store whose transactions end when the test says so, or as `decide` says. */
function setup(decide?: (writes: string[], ledger: readonly LedgerPosition[]) => void, concurrency = 1) {
  const calls: Call[] = []
  const store: Store = {
    claim: () => Promise.reject(new Error('not asked for')),
    transact: async (group, writes, ledger) => {
      if (group !== 'g') throw new Error('wrong group')
      const call = { writes: writes.map(nameOf), ledger, answer: deferred<WriteResult[]>() }
      calls.push(call)
      if (!decide) return call.answer.promise
      decide(call.writes, ledger)
      return writes.map(() => written)
    },
  }
  const writer = createWriter({ store, group: 'g', concurrency: () => concurrency })
  const end = (index: number) => calls[index]!.answer.resolve(calls[index]!.writes.map(() => written))
  return { calls, writer, end }
}
/** An assignment with a ledger, whose offsets up to `count` have begun. */
function begun(count: number, overrides: Partial<Assignment> = {}) {
  const assignment = fakeAssignment({ ledger: 0n, ...overrides })
  for (let offset = 0; offset < count; offset += 1) assignment.watermark.begin(BigInt(offset))
  return assignment
}
const positions = (call: Call) => call.ledger.map(({ partition: p, nextOffset }) => `${p}:${nextOffset}`)

void t.test(
  'what arrives during a transaction goes into the next one together, and nobody waits for company',
  async (t) => {
    const { calls, writer, end } = setup()
    const assignment = begun(4)
    const all = ['a', 'b', 'c', 'd'].map((name, offset) => writer.write(assignment, BigInt(offset), admission(name)))
    await turn()
    t.strictSame(
      calls.map(({ writes }) => writes),
      [['a']],
    )
    end(0)
    await turn()
    t.strictSame(calls[1]!.writes, ['b', 'c', 'd'])
    end(1)
    t.strictSame(await Promise.all(all), [written, written, written, written])
  },
)

void t.test('a transaction holds at most 16 writes and about 500 rows', async (t) => {
  const { calls, writer } = setup(() => {})
  const assignment = begun(60)
  await Promise.all(
    Array.from({ length: 60 }, (_, index) =>
      writer.write(assignment, BigInt(index), admission(`w${index}`, index >= 40 ? 200 : 1)),
    ),
  )
  const sizes = calls.map(({ writes }) => writes.length)
  t.equal(
    sizes.reduce((a, b) => a + b),
    60,
  )
  t.ok(Math.max(...sizes) <= 16)
  for (const { writes } of calls.filter(({ writes }) => writes.every((name) => Number(name.slice(1)) >= 40)))
    t.ok(writes.length <= 2, '200 + 200 rows')
})

void t.test('no more transactions run beside each other than the concurrency allows', async (t) => {
  const { calls, writer, end } = setup(undefined, 2)
  const assignment = begun(5)
  const all = Array.from({ length: 5 }, (_, index) => writer.write(assignment, BigInt(index), admission(`w${index}`)))
  await turn()
  t.equal(calls.length, 2)
  end(0)
  await turn()
  t.equal(calls.length, 3)
  end(1)
  end(2)
  await Promise.all(all)
})

void t.test('the ledger takes the contiguous watermark as it stands once the transaction commits', async (t) => {
  const { calls, writer, end } = setup()
  const assignment = begun(4)
  assignment.watermark.finish(1n) // 0 is still worked on
  void writer.write(assignment, 2n, admission('c'))
  await turn()
  t.strictSame(positions(calls[0]!), ['0:0'], '2 is stored, but 0 is not: the ledger must not pass it')
  const last = [writer.write(assignment, 0n, admission('a')), writer.write(assignment, 3n, admission('d'))]
  end(0)
  await turn()
  t.strictSame(
    positions(calls[1]!),
    ['0:2'],
    '0 with this one, 1 before it; 2 is stored, but its announcement is not out',
  )
  assignment.watermark.finish(2n)
  t.equal(assignment.ledger, 0n, 'not before COMMIT')
  end(1)
  await Promise.all(last)
  t.equal(assignment.ledger, 2n)
})

void t.test('the ledger never passes an offset that is neither stored nor done', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.shuffledSubarray([0, 1, 2, 3, 4, 5, 6, 7], { minLength: 8 }),
      fc.array(fc.constantFrom('write', 'poison', 'done'), { minLength: 8, maxLength: 8 }),
      fc.integer({ min: 1, max: 3 }),
      async (order, kinds, concurrency) => {
        const stored = new Set<number>()
        let ok = true
        const assignment = begun(8)
        const check = (writes: string[], ledger: readonly LedgerPosition[]) => {
          if (writes.some((name) => kinds[Number(name)] === 'poison')) throw new Error('refused')
          for (const name of writes) stored.add(Number(name))
          for (const { nextOffset } of ledger)
            for (let offset = 0; offset < Number(nextOffset); offset += 1) ok &&= stored.has(offset)
        }
        const { writer } = setup(check, concurrency)
        await Promise.all(
          order.map(async (offset) => {
            if (kinds[offset] === 'done') {
              stored.add(offset)
              return assignment.watermark.finish(BigInt(offset))
            }
            try {
              await writer.write(assignment, BigInt(offset), admission(String(offset)))
              assignment.watermark.finish(BigInt(offset))
            } catch {
              // stays unfinished
            }
          }),
        )
        await writer.flush(assignment)
        const poisoned = kinds.indexOf('poison')
        return ok && assignment.ledger === BigInt(poisoned < 0 ? 8 : poisoned)
      },
    ),
    { numRuns: 60 },
  )
  t.pass()
})

void t.test('a write that Postgres refuses is rejected alone, its neighbours are stored', async (t) => {
  const { writer, calls } = setup((writes) => {
    if (writes.includes('poison')) throw new Error('invalid byte sequence')
  })
  const assignment = begun(4)
  const first = writer.write(assignment, 0n, admission('a'))
  const [poison, ...others] = [
    writer.write(assignment, 1n, admission('poison')),
    writer.write(assignment, 2n, admission('c')),
    writer.write(assignment, 3n, admission('d')),
  ]
  const refused = poison.catch((error: unknown) => error)
  await Promise.all([first, ...others])
  const error = await refused
  t.type(error, StageError)
  t.match(error, { code: 'write_failed', retriable: true, message: 'invalid byte sequence' })
  t.strictSame(
    calls.map(({ writes }) => writes.join()),
    ['a', 'poison,c,d', 'poison', 'c', 'd'],
  )
  t.strictSame(positions(calls[3]!), ['0:0'], 'the refused one holds the ledger')
})

void t.test('when Postgres is away every write of the transaction learns it, and none is tried alone', async (t) => {
  const { writer, calls } = setup(() => {
    throw new DependencyUnavailable('postgres', 'connection refused')
  })
  const assignment = begun(3)
  const all = await Promise.allSettled([0n, 1n, 2n].map((offset) => writer.write(assignment, offset, admission('w'))))
  for (const result of all) t.type((result as PromiseRejectedResult).reason, DependencyUnavailable)
  t.equal(calls.length, 2)
})

void t.test(
  'a partition that another member has claimed is fenced, and its neighbours in the transaction are stored',
  async (t) => {
    const { writer } = setup((_, ledger) => {
      if (ledger.some(({ partition: p }) => p === 1)) throw new Fenced('newer epoch')
    })
    const [mine, theirs] = [begun(2), begun(1, { at: partition(1) })]
    const all = await Promise.allSettled([
      writer.write(mine, 0n, admission('a')),
      writer.write(theirs, 0n, admission('b')),
      writer.write(mine, 1n, admission('c')),
    ])
    t.strictSame(
      all.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    )
    t.type((all[1] as PromiseRejectedResult).reason, Fenced)
  },
)

void t.test('a partition lost before its write is written no more', async (t) => {
  const { writer, calls, end } = setup()
  const assignment = begun(2)
  const first = writer.write(assignment, 0n, admission('a'))
  const second = writer.write(assignment, 1n, admission('b'))
  await turn()
  assignment.alive = false
  end(0)
  await first
  await t.rejects(second, Fenced)
  t.equal(calls.length, 1)
})

void t.test('partitions stand in the ledger in one order, whatever the order of their writes', async (t) => {
  const { writer, calls, end } = setup()
  const [a, b] = [begun(3, { at: partition(2) }), begun(3, { at: partition(1), epoch: 7n })]
  const all = [
    writer.write(a, 0n, admission('x')),
    writer.write(a, 1n, admission('y')),
    writer.write(b, 0n, admission('z')),
  ]
  await turn()
  end(0)
  await turn()
  t.strictSame(
    calls[1]!.ledger.map(({ partition: p, epoch }) => [p, epoch]),
    [
      [1, 7n],
      [2, 1n],
    ],
  )
  end(1)
  await Promise.all(all)
})

void t.test('flush brings the ledger up to the watermark, and asks nothing of Postgres when it is there', async (t) => {
  const { writer, calls } = setup(() => {})
  const assignment = begun(3)
  await writer.flush(assignment)
  t.equal(calls.length, 0)
  assignment.watermark.finish(0n)
  assignment.watermark.finish(1n)
  await writer.flush(assignment)
  t.strictSame([calls[0]!.writes, positions(calls[0]!)], [[], ['0:2']])
  t.equal(assignment.ledger, 2n)
  assignment.watermark.finish(2n)
  assignment.alive = false
  await writer.flush(assignment)
  t.equal(calls.length, 1, 'never for a partition that was lost')
})

void t.test('a flush that failed leaves the ledger where it is', async (t) => {
  const { writer } = setup(() => {
    throw new DependencyUnavailable('postgres', 'away')
  })
  const assignment = begun(1)
  assignment.watermark.finish(0n)
  await t.rejects(writer.flush(assignment), DependencyUnavailable)
  t.equal(assignment.ledger, 0n)
})
