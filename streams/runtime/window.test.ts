import t from 'tap'
import { fakeAssignment, kafkaMessage } from '../../ops/testing/runtime-fakes.ts'
import { toRawRecord } from './record.ts'
import type { RawRecord } from './settle.ts'
import { bytesOf, createWindow } from './window.ts'

const bound = { maxRecords: 4, maxBytes: 10_000, maxBytesInAll: 15_000, leastBytes: 1_000 } as never
const record = (offset: number, key = 'acme', bytes = 2): RawRecord =>
  toRawRecord(fakeAssignment(), kafkaMessage({ offset, key, value: 'x'.repeat(bytes) }))

void t.test('records wait by tenant, each tenant’s in the order of the log', async (t) => {
  const window = createWindow({ bytes: 0 })
  for (const [offset, key] of [
    [0, 'a'],
    [1, 'a'],
    [2, 'b'],
    [3, 'a'],
  ] as const)
    window.add(record(offset, key), 0)
  t.strictSame([...window.tenants()], ['a', 'b'])
  t.equal(window.take('b')!.offset, 2n)
  t.strictSame([...window.tenants()], ['a'])
  t.strictSame(
    [0, 1, 2].map(() => window.take('a')!.offset),
    [0n, 1n, 3n],
  )
  t.equal(window.take('a'), undefined)
  t.equal(window.held(), 4, 'under way is held too')
})

void t.test('what is put back comes before what follows it in the log', async (t) => {
  const window = createWindow({ bytes: 0 })
  for (const offset of [0, 1, 2, 3]) window.add(record(offset), 0)
  const [zero, one] = [window.take('acme')!, window.take('acme')!]
  window.putBack(one)
  window.putBack(zero)
  t.strictSame(
    [0, 1, 2, 3].map(() => window.take('acme')!.offset),
    [0n, 1n, 2n, 3n],
  )
  window.putBack(one)
  t.equal(window.head('acme'), one)
})

void t.test('what is due later waits aside and holds up nobody', async (t) => {
  const window = createWindow({ bytes: 0 })
  window.add(record(0), 5_000)
  window.add(record(1), 0)
  window.add(record(2), 2_000)
  t.equal(window.take('acme')!.offset, 1n)
  t.equal(window.head('acme'), undefined)
  t.equal(window.wake(2_000), 5_000)
  t.equal(window.take('acme')!.offset, 2n)
  t.equal(window.wake(5_000), undefined)
  t.equal(window.take('acme')!.offset, 0n)
})

void t.test('it is full by records, by bytes, and by the bytes of all windows above its own least', async (t) => {
  const byRecords = createWindow({ bytes: 0 }, bound)
  for (const offset of [0, 1, 2]) byRecords.add(record(offset), 0)
  t.notOk(byRecords.isFull())
  byRecords.add(record(3), 0)
  t.ok(byRecords.isFull())
  const space = { bytes: 0 }
  const large = createWindow(space, bound)
  large.add(record(0, 'a', 9_900), 0)
  t.ok(large.isFull())
  const second = createWindow(space, bound)
  second.add(record(0, 'a', 5_500), 0)
  t.ok(second.isFull(), 'together they are above the bound of all')
  const third = createWindow(space, bound)
  third.add(record(0, 'a', 100), 0)
  t.notOk(third.isFull(), 'its least is granted')
})

void t.test('room is there again below half; memory is free once a record is settled', async (t) => {
  const space = { bytes: 0 }
  const window = createWindow(space, bound)
  for (const offset of [0, 1, 2, 3]) window.add(record(offset), 0)
  const taken = [window.take('acme')!, window.take('acme')!, window.take('acme')!]
  t.notOk(window.hasRoom(), 'taken is not settled')
  for (const raw of taken.slice(0, 2)) window.forget(raw)
  t.notOk(window.hasRoom())
  window.forget(taken[2]!)
  t.ok(window.hasRoom())
  t.equal(space.bytes, bytesOf(record(3)))
  window.close()
  t.strictSame([space.bytes, window.held()], [0, 0])
})

void t.test('a tenant’s thousands are taken in order without moving the rest each time', async (t) => {
  const window = createWindow({ bytes: 0 })
  for (let offset = 0; offset < 3_000; offset += 1) window.add(record(offset), 0)
  for (let offset = 0; offset < 3_000; offset += 1)
    if (window.take('acme')!.offset !== BigInt(offset)) t.fail(`offset ${offset} out of order`)
  t.equal(window.head('acme'), undefined)
})

void t.test('what ends after the partition was lost does not give its memory back twice', async (t) => {
  const space = { bytes: 0 }
  const window = createWindow(space)
  window.add(record(0), 0)
  const raw = window.take('acme')!
  window.close()
  window.forget(raw)
  window.putBack(raw)
  t.equal(space.bytes, 0)
  t.equal(window.head('acme'), undefined)
})
