import t from 'tap'
import { UserError } from '../../streams/errors.ts'
import { classifyPostgres, shouldRepeat } from './errors.ts'

const failure = (code: string, message = 'm') => Object.assign(new Error(message), { code })

t.test('trouble of the server or of its set-up is nobody’s record: the partition waits', async (t) => {
  const codes = ['08006', '28P01', '3D000', '42P01', '42501', '42P10', '53300', '57P01', '57014', 'XX000', '25006']
  for (const code of codes) t.match(classifyPostgres(failure(code)), { name: 'DependencyUnavailable' }, code)
  for (const code of ['ECONNREFUSED', 'EAI_AGAIN', 'ENETUNREACH', 'ERR_TLS_CERT_ALTNAME_INVALID'])
    t.match(classifyPostgres(failure(code)), { name: 'DependencyUnavailable' }, code)
  for (const message of ['Connection terminated unexpectedly', 'Connection ended unexpectedly', 'Query read timeout'])
    t.match(classifyPostgres(new Error(message)), { name: 'DependencyUnavailable' }, message)
})

t.test('what the data is to blame for is final', async (t) => {
  for (const code of ['22021', '23505', '54000', '08P01'])
    t.match(classifyPostgres(failure(code)), { name: 'StageError', code: 'invalid_data', retriable: false }, code)
})

t.test('deadlocks and serialization failures are tried again at once', async (t) => {
  for (const code of ['40P01', '40001', '55P03']) t.ok(shouldRepeat(failure(code)), code)
  t.notOk(shouldRepeat(failure('22021')))
})

t.test('an error keeps the server’s words and leaves out statement and values', async (t) => {
  const error = classifyPostgres(failure('22021', `insert into t values ('secret') - invalid byte sequence`))
  t.match(error.message, /invalid byte sequence/)
  t.notMatch(error.message, /secret|insert/)
})

t.test('what is said to whoever typed the command keeps its hint', async (t) => {
  const error = new UserError('acme is not deleted', '`sluice tenant list` shows which are.')
  t.equal(classifyPostgres(error), error)
})
