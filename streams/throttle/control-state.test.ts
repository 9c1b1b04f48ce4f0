import fc from 'fast-check'
import t from 'tap'
import type { PipelineControl } from '../../schemas/generated/types.ts'
import {
  applyControl,
  breakerKey,
  budgetNames,
  controlDefaults,
  emptyControl,
  isPaused,
  limitKey,
  pauseKey,
  tenantLimits,
  total,
} from './control-state.ts'
import type { ControlState } from './control-state.ts'

interface Given {
  readonly key: string
  readonly value: Partial<PipelineControl> | null
}
const NOW_MS = 1_700_000_000_000
const record = ({ key, value }: Given) => ({
  ...{ key, value: value && { ...controlDefaults, ...value }, timestampMs: NOW_MS, live: true },
})
const read = (...records: Given[]) =>
  records.reduce<ControlState>((state, given) => {
    const applied = applyControl(state, record(given), NOW_MS)
    if (applied.problem !== undefined) throw new Error(applied.problem)
    return applied.state
  }, emptyControl)

type Target = Partial<Parameters<typeof pauseKey>[0]>
const all = { stage: '', tenant: '', partition: -1 } as const
const paused = (target: Target, rest: Partial<PipelineControl> = {}): Given => {
  const { stage, tenant, partition } = { ...all, ...target }
  return {
    key: pauseKey({ ...all, ...target }),
    value: { command: 'PAUSE', stage, tenant_id: tenant, partition, ...rest },
  }
}
const limited = (budget: (typeof budgetNames)[number], value: number, tenant = ''): Given => ({
  key: limitKey({ budget, tenant }),
  value: { command: 'LIMIT', budget, tenant_id: tenant, value },
})

void t.test('a pause holds up what it names: everything, a stage, a partition or a tenant', async (t) => {
  const everything = read(paused({}))
  t.ok(isPaused(everything, 'crawler') && isPaused(everything, 'chunker', 'acme', 3))
  const stage = read(paused({ stage: 'chunker' }))
  t.ok(isPaused(stage, 'chunker') && isPaused(stage, 'chunker', 'acme', 3))
  t.notOk(isPaused(stage, 'processor'))
  const partition = read(paused({ stage: 'chunker', partition: 3 }))
  t.ok(isPaused(partition, 'chunker', '', 3))
  t.notOk(
    isPaused(partition, 'chunker', '', 2) ?? isPaused(partition, 'chunker') ?? isPaused(partition, 'crawler', '', 3),
  )
  const tenant = read(paused({ tenant: 'acme' }))
  t.ok(isPaused(tenant, 'crawler', 'acme', 1))
  t.notOk(isPaused(tenant, 'crawler', 'other', 1) ?? isPaused(tenant, 'crawler', '', 1))
})

void t.test('the command that holds work up tells why, by whom and since when; a wider one comes first', async (t) => {
  const details = { reason: 'moving', issued_by: 'ann@host', issued_at: 1_600_000_000_000_000n }
  const state = read(paused({ tenant: 'acme' }), paused({ stage: 'chunker' }, details))
  t.match(isPaused(state, 'chunker', 'acme'), {
    tenant: '',
    reason: 'moving',
    by: 'ann@host',
    sinceMs: 1_600_000_000_000,
  })
  t.match(isPaused(state, 'crawler', 'acme'), { tenant: 'acme', sinceMs: NOW_MS })
})

void t.test('a command is replaced by a newer one of its key, and lifted by an empty value or RESUME', async (t) => {
  const pause = paused({ stage: 'chunker' })
  for (const value of [null, { command: 'RESUME' } as const])
    t.equal(read(pause, paused({}), { key: pause.key, value }).pauses.size, 1)
  t.equal(total(read(limited('database_slots', 4), limited('database_slots', 2)), 'database_slots'), 2)
})

void t.test('a total is a number, none by an operator’s word, or not spoken of', async (t) => {
  const state = read(
    limited('embedding_requests', 10),
    limited('database_slots', -1),
    limited('crawler_records', 1, 'a'),
  )
  t.equal(total(state, 'embedding_requests'), 10)
  t.equal(total(state, 'database_slots'), null)
  t.equal(total(state, 'crawler_records'), undefined)
  t.strictSame(tenantLimits(state, 'a'), { crawler_records: 1 })
  t.equal(tenantLimits(state, 'b'), undefined)
  t.equal(tenantLimits(state, ''), undefined)
})

void t.test('no two commands share a key, whatever the tenants are called', async (t) => {
  const target = fc.record({
    stage: fc.constantFrom('' as const, 'crawler' as const, 'chunker' as const),
    tenant: fc.oneof(fc.constantFrom('', '/', 'a/b', '%2F', 'a'), fc.string({ unit: 'binary', maxLength: 4 })),
    partition: fc.integer({ min: -1, max: 2 }),
  })
  fc.assert(
    fc.property(target, target, (a, b) => {
      const same = a.stage === b.stage && a.tenant === b.tenant && a.partition === b.partition
      return same === (pauseKey(a) === pauseKey(b)) && pauseKey(a).split('/').length === 4
    }),
  )
  t.equal(pauseKey({ stage: 'chunker', tenant: 'a/b', partition: -1 }), 'pause/chunker/a%2Fb/')
  t.equal(limitKey({ budget: 'database_slots', tenant: '' }), 'limit/database_slots/')
  t.equal(breakerKey('postgres'), 'breaker/postgres')
})

void t.test('a record that makes no sense changes nothing and says what is wrong', async (t) => {
  const state = read(paused({ stage: 'chunker' }))
  const wrong: Given[] = [
    { key: 'x', value: {} },
    { ...paused({}), key: 'pause/chunker//' },
    paused({ stage: 'chunkr' as 'chunker' }),
    paused({ stage: 'chunker', partition: -2 }),
    limited('pages' as 'database_slots', 1),
    limited('database_slots', 0),
    limited('database_slots', Number.NaN),
    limited('database_slots', Infinity),
    { key: breakerKey('postgres'), value: { command: 'BREAKER', dependency: 'postgres' } },
    { key: breakerKey('x'), value: { command: 'BREAKER', dependency: 'y', breaker_state: 'OPEN', term: 1n } },
  ]
  for (const given of wrong)
    t.type(applyControl(state, record(given), NOW_MS).problem, 'string', JSON.stringify(given.key))
})

void t.test('any record at all is either understood or refused, never a crash', async (t) => {
  const value = fc.record({
    command: fc.constantFrom('NONE', 'PAUSE', 'RESUME', 'LIMIT', 'BREAKER'),
    stage: fc.constantFrom('', 'chunker', 'x'),
    tenant_id: fc.string({ unit: 'binary' }),
    partition: fc.integer(),
    budget: fc.constantFrom('', ...budgetNames),
    value: fc.double(),
    dependency: fc.string({ unit: 'binary' }),
    breaker_state: fc.constantFrom('NONE', 'OPEN', 'CLOSED', 'HALF_OPEN'),
    term: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    duration_ms: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  })
  fc.assert(
    fc.property(fc.string(), fc.option(value), (key, given) => {
      applyControl(emptyControl, record({ key, value: given }), NOW_MS)
    }),
  )
  t.pass()
})
