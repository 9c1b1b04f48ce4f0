import t from 'tap'
import { createTenantLabels } from './tenants.ts'

function setup({ allowed = [] as string[], top = 2 } = {}) {
  const dropped: string[] = []
  const { labelOf } = createTenantLabels({ allowed, top, onDrop: (tenant) => dropped.push(tenant) })
  const often = (tenant: string, times: number) => {
    let label = ''
    for (let index = 0; index < times; index += 1) label = labelOf(tenant)
    return label
  }
  return { labelOf, often, dropped }
}

t.test('an allowlist names its tenants and nobody else, however busy', async (t) => {
  const { often } = setup({ allowed: ['acme'] })
  t.equal(often('globex', 1_000), 'other')
  t.equal(often('acme', 1), 'acme')
})

t.test('without one the first are named, and the busiest take their places', async (t) => {
  const { often, dropped } = setup()
  t.equal(often('a', 10), 'a')
  t.equal(often('b', 10), 'b')
  t.equal(often('c', 10), 'other', 'not for a little more')
  t.equal(often('c', 20), 'c', 'but for twice as much')
  t.strictSame(dropped, ['a'])
  t.equal(often('a', 1), 'other')
})

t.test('a crowd of small ones takes nobody’s place', async (t) => {
  const { often, labelOf, dropped } = setup()
  often('a', 50)
  often('b', 50)
  for (let index = 0; index < 100_000; index += 1) labelOf(`small-${index}`)
  t.strictSame(dropped, [])
  t.equal(often('a', 1), 'a')
})

t.test('who was busy long ago gives way to who is now', async (t) => {
  const { often, dropped } = setup({ top: 1 })
  often('old', 10_000)
  t.equal(often('new', 15_000), 'other')
  often('new', 200_000)
  t.strictSame(dropped, ['old'])
})

t.test('asking names nobody once the places are taken', async (t) => {
  const { often, labelOf, dropped } = setup({ top: 1 })
  t.equal(labelOf('a', 0), 'a', 'there was a place')
  for (let index = 0; index < 100; index += 1) t.equal(labelOf('b', 0), 'other')
  t.strictSame(dropped, [])
  t.equal(often('a', 1), 'a')
})

t.test('none at all, and ids that are none or would be mistaken', async (t) => {
  t.equal(setup({ top: 0 }).often('a', 10), 'other')
  t.equal(setup().often('', 10), 'other')
  t.equal(setup().often('other', 10), 'other')
})
