import t from 'tap'
import { deferred } from '../../ops/testing/runtime-fakes.ts'
import { createKeyedLanes } from './keyed-lanes.ts'

const turn = () => new Promise((resolve) => setImmediate(resolve))

void t.test('tasks of one key run in order, one at a time; those of another key run beside them', async (t) => {
  const lanes = createKeyedLanes()
  const seen: string[] = []
  const gates = new Map(['a1', 'a2', 'b1'].map((name) => [name, deferred()]))
  const task = (name: string) => async () => {
    seen.push(`start ${name}`)
    await gates.get(name)!.promise
    seen.push(`end ${name}`)
  }
  const all = [lanes.run('a', task('a1')), lanes.run('a', task('a2')), lanes.run('b', task('b1'))]
  t.strictSame(seen, ['start a1', 'start b1'], 'the first of each key starts at once')
  gates.get('a2')!.resolve()
  gates.get('b1')!.resolve()
  await turn()
  t.strictSame(seen, ['start a1', 'start b1', 'end b1'])
  gates.get('a1')!.resolve()
  await Promise.all(all)
  t.strictSame(seen.slice(3), ['end a1', 'start a2', 'end a2'])
})

void t.test('a failing task rejects its own promise and does not stop its lane', async (t) => {
  const lanes = createKeyedLanes()
  const failing = lanes.run('a', () => Promise.reject(new Error('no')))
  let ran = false
  const following = lanes.run('a', async () => void (ran = true))
  await t.rejects(failing, { message: 'no' })
  await following
  t.ok(ran)
})

void t.test('a lane is forgotten once it is idle, and kept while a later task waits in it', async (t) => {
  const { prototype } = Map as unknown as { prototype: Map<unknown, unknown> }
  const maps = new Set<Map<unknown, unknown>>()
  const set = prototype.set
  prototype.set = function (this: Map<unknown, unknown>, key, value) {
    if (typeof key === 'string' && key.startsWith('lane-')) maps.add(this)
    return set.call(this, key, value)
  }
  t.teardown(() => (prototype.set = set))
  const lanes = createKeyedLanes()
  await Promise.all(
    Array.from({ length: 200 }, (_, index) => lanes.run(`lane-${index % 50}`, turn as () => Promise<void>)),
  )
  t.equal(maps.size, 1)
  t.equal([...maps][0]!.size, 0)
})
