import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import ts from 'typescript'
import { DependencyUnavailable, UserError } from '../../streams/errors.ts'
import { didYouMean } from './hints-words.ts'
import { describeError, formatError } from './hints.ts'

const root = join(import.meta.dirname, '..', '..')

t.test('whoever throws an error for people says what to do next', async (t) => {
  const files = globSync('{streams,schemas,connectors,migrations,ops}/**/*.ts', { cwd: root })
    .filter((file) => !/\.test\.ts$|^ops\/(fixtures|testing)\//.test(file))
    .sort()
  const thrown = files.flatMap((file) => userErrorsIn(file))
  t.ok(thrown.length > 50, 'they are found')
  const withoutHint = thrown.filter(({ hint }) => hint === undefined || hint === "''")
  t.same(
    withoutHint.map(({ at }) => at),
    [],
  )
})

function userErrorsIn(file: string): { at: string; hint: string | undefined }[] {
  const source = ts.createSourceFile(file, readFileSync(join(root, file), 'utf8'), ts.ScriptTarget.Latest)
  const found: { at: string; hint: string | undefined }[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isNewExpression(node) && node.expression.getText(source) === 'UserError') {
      const line = source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1
      found.push({ at: `${file}:${line}`, hint: node.arguments?.[1]?.getText(source) })
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

t.test('no error is shown without a message and a hint, whatever it is', async (t) => {
  const refused = Object.assign(new AggregateError([new Error('connect ECONNREFUSED ::1:1')], ''), {
    code: 'ECONNREFUSED',
  })
  const kafka = Object.assign(new Error('This server does not host this topic-partition'), {
    name: 'KafkaJSProtocolError',
  })
  const errors: [unknown, RegExp][] = [
    [new Error('relation "tenant_knowledge" does not exist'), /sluice migrate up/],
    [kafka, /Kafka: .*\n.*sluice topics apply/],
    [
      Object.assign(new Error('SASL PLAIN authentication failed'), { name: 'KafkaJSSASLAuthenticationError' }),
      /KAFKA_/,
    ],
    [new DependencyUnavailable('registry', 'schema registry: 401'), /SCHEMA_REGISTRY_URL/],
    [new DependencyUnavailable('postgres', 'Postgres: permission denied for table knowledge'), /Grant/],
    [new DependencyUnavailable('embeddings', 'embeddings: 401'), /OPENAI_API_KEY/],
    [refused, /ECONNREFUSED/],
    [new UserError('no hint'), /LOG_LEVEL=debug/],
    [Object.assign(new Error(''), { code: 'EPERM' }), /EPERM/],
    [new Error('something else'), /LOG_LEVEL=debug.*sluice doctor/],
    ['a string', /a string/],
    [null, /null/],
    [undefined, /undefined/],
  ]
  for (const [error, shown] of errors) {
    const { message, hint, code } = describeError(error)
    t.match(message, /\S/)
    t.match(hint, /\S/)
    t.equal(code, 1)
    t.match(formatError(error), shown)
    t.notMatch(formatError(error), /^\s+at /m)
  }
})

t.test('the word that is nearest is meant, if any is near', async (t) => {
  const words = ['crawler', 'processor', 'chunker']
  t.equal(didYouMean('chunkr', words), 'Did you mean chunker? ')
  t.equal(didYouMean('PROCESSOR', words), 'Did you mean processor? ')
  t.equal(didYouMean('embeddings', words), '')
  t.equal(didYouMean('', words), '')
  t.equal(didYouMean('x', []), '')
})
