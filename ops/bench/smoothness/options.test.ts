import t from 'tap'
import { UserError } from '../../../streams/errors.ts'
import { allIds, parseOptions } from './options.ts'

t.test('everything is played unless told, and the report goes to the data folder', async (t) => {
  t.same(parseOptions([], '/data'), { only: allIds, postgres: false, out: '/data/bench', reportOnly: false })
})

t.test('what is chosen is played in the order of the report', async (t) => {
  t.same(parseOptions(['--only', 'd2,a, kill', '--postgres', '--out', 'x'], '/data'), {
    ...{ only: ['a', 'd2', 'kill'], postgres: true, out: 'x', reportOnly: false },
  })
  const { only } = parseOptions(['--quick'], '/data')
  t.ok(only.length < 5 && only.includes('a') && only.includes('d1'))
})

t.test('what is not known is told with what there is', async (t) => {
  for (const args of [['--only', 'd1,z9'], ['--fast'], ['extra']])
    t.throws(() => parseOptions(args, '/data'), UserError)
  t.throws(() => parseOptions(['--only', 'z9'], '/data'), { exitCode: 2, hint: /one-partition/ } as unknown as Error)
})
