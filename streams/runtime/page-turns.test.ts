import t from 'tap'
import { fakeAssignment, kafkaMessage } from '../../ops/testing/runtime-fakes.ts'
import { createPageTurns } from './page-turns.ts'
import { toRawRecord } from './record.ts'

const record = (offset: number) => toRawRecord(fakeAssignment(), kafkaMessage({ offset }))
const [zero, one, two, three] = [record(0), record(1), record(2), record(3)]

void t.test('one of a page at a time; the others are called one by one, in order', async (t) => {
  const turns = createPageTurns()
  t.ok(turns.enter('p', zero))
  t.notOk(turns.enter('p', one))
  t.notOk(turns.enter('p', two))
  t.ok(turns.enter('other', three))
  t.equal(turns.done('p', zero), one)
  t.ok(turns.enter('p', one))
  t.equal(turns.done('p', one), two)
  t.ok(turns.enter('p', two))
  t.equal(turns.done('p', two), undefined)
  t.equal(turns.done('other', three), undefined)
})

void t.test('who comes while another is called stands behind it', async (t) => {
  const turns = createPageTurns()
  turns.enter('p', zero)
  turns.enter('p', one)
  t.equal(turns.done('p', zero), one)
  t.notOk(turns.enter('p', two), 'one was called and is on its way')
  t.ok(turns.enter('p', one))
  t.equal(turns.done('p', one), two)
})

void t.test('put back, those behind it come again after it, and whoever is on its way goes back too', async (t) => {
  const turns = createPageTurns()
  turns.enter('p', zero)
  turns.enter('p', one)
  t.strictSame(turns.putBack('p', zero), [one])
  t.ok(turns.enter('p', two))
  t.ok(turns.isBehind('p', two))
  t.strictSame(turns.putBack('p', two), [])
  t.ok(turns.enter('p', zero))
  t.notOk(turns.isBehind('p', zero))
})

void t.test('one that has stood here and cannot be read when it comes again is still its page’s', async (t) => {
  const turns = createPageTurns()
  turns.enter('p', zero)
  turns.enter('p', one)
  t.equal(turns.knownAs(one), 'p')
  t.equal(turns.done('p', zero), one)
  turns.enter('p', one)
  turns.done('p', one)
  t.equal(turns.knownAs(one), undefined)
})
