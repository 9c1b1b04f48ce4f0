import t from 'tap'
import { UserError } from '../../../streams/errors.ts'
import { gate, readNumbers } from './report.ts'

function refusal(args: readonly string[]): unknown {
  try {
    return readNumbers(args, { records: 9 })
  } catch (error) {
    return error instanceof UserError ? error : undefined
  }
}

void t.test('options that are not given keep their default', async (t) => {
  t.strictSame(readNumbers(['--records', '5'], { records: 9, repetitions: 3 }), { records: 5, repetitions: 3 })
})

void t.test('what is not an option, or not a whole number, is refused and the options are named', async (t) => {
  for (const args of [['--other', '5'], ['--records', 'x'], ['--records', '0'], ['5']])
    t.match(refusal(args), { hint: /--records/, exitCode: 2 })
})

void t.test('a gate says which it is and whether it holds', async (t) => {
  const lines: string[] = []
  const io = { print: (line: string) => void lines.push(line) }
  t.ok(gate(io, 'a', true, '1 of 1'))
  t.notOk(gate(io, 'b', false, '0 of 1'))
  t.strictSame(lines, ['PASS  a: 1 of 1', 'FAIL  b: 0 of 1'])
})
