import t from 'tap'
import { frame, readyForQuery, startupMessage } from '../../embedded/pg-frames.ts'
import type { TransactionStatus } from '../../embedded/pg-frames.ts'
import { createStatementTracker } from './statements.ts'
import type { LoggedWork } from './statements.ts'

/** A connection whose clock stands until it is moved. */
function connection() {
  let nowMs = 0
  const log: LoggedWork[] = []
  const tracker = createStatementTracker({
    now: () => nowMs,
    isControl: (text) => text.includes('budget_leases'),
    onWork: (work) => log.push(work),
  })
  tracker.client(startupMessage({ user: 'u', database: 'd' }))
  tracker.server(Buffer.concat([frame('R', Buffer.alloc(4)), readyForQuery('I')]))
  return {
    log,
    ...tracker,
    at: (ms: number) => (nowMs = ms),
    query: (text: string) => tracker.client(frame('Q', text)),
    extended: (text: string) => tracker.client(Buffer.concat([...extended(text), frame('S')])),
    ready: (status: TransactionStatus) => tracker.server(readyForQuery(status)),
  }
}

/** Parse, Bind, Describe, Execute; parameters and portals do not matter here. */
const extended = (text: string) => [
  frame('P', '', text, Buffer.alloc(2)),
  frame('B', '', '', Buffer.alloc(6)),
  frame('D', Buffer.from('P'), ''),
  frame('E', '', Buffer.alloc(4)),
]

t.test('start-up and passwords are no work', async (t) => {
  const { log, client, ready } = connection()
  client(frame('p', 'secret'))
  ready('I')
  t.same(log, [])
})

t.test('a simple query is in flight until ReadyForQuery', async (t) => {
  const { log, query, ready, at } = connection()
  at(10)
  query('select 1')
  t.match(log, [{ startMs: 10, endMs: null, text: 'select 1', transaction: false }])
  at(25)
  ready('I')
  t.match(log, [{ startMs: 10, endMs: 25, statementsMs: [10], cut: false }])
})

t.test('an extended query is one statement, with the text of its Parse', async (t) => {
  const { log, extended, ready, at } = connection()
  at(1)
  extended('select *\n  from sources')
  at(3)
  ready('I')
  t.match(log, [{ startMs: 1, endMs: 3, statementsMs: [1], text: 'select * from sources' }])
})

t.test(
  'a transaction is one piece of work from BEGIN to the end of COMMIT, pauses between statements included',
  async (t) => {
    const { log, query, extended, ready, at } = connection()
    at(10)
    query('BEGIN;')
    ready('T')
    at(50)
    extended('insert into sources values ($1)')
    at(60)
    ready('T')
    at(80)
    query('COMMIT;')
    at(95)
    ready('I')
    t.same(log.length, 1)
    t.match(log, [{ startMs: 10, endMs: 95, statementsMs: [10, 50, 80], transaction: true, text: /^insert/ }])
    query('select 2')
    t.equal(log.length, 2, 'what follows is work of its own')
  },
)

t.test('a failed transaction is in flight until it is rolled back', async (t) => {
  const { log, query, ready, at } = connection()
  query('begin')
  ready('T')
  query('select broken')
  ready('E')
  t.equal(log[0]?.endMs, null)
  at(5)
  query('rollback')
  ready('I')
  t.equal(log[0]?.endMs, 5)
})

t.test('pipelined statements are in flight until the last of their answers', async (t) => {
  const { log, client, ready, at } = connection()
  client(Buffer.concat([...extended('select 1'), frame('S'), ...extended('select 2'), frame('S')]))
  at(4)
  ready('I')
  t.equal(log[0]?.endMs, null)
  at(9)
  ready('I')
  t.match(log, [{ endMs: 9, statementsMs: [0, 0] }])
})

t.test('bytes may come in any pieces, in both directions', async (t) => {
  const { log, client, server, at } = connection()
  const sent = Buffer.concat([frame('Q', 'BEGIN;'), ...extended('update tenants set x = 1'), frame('S')])
  const answered = Buffer.concat([readyForQuery('T'), frame('C', 'UPDATE 1'), readyForQuery('T')])
  for (const byte of sent) client(Buffer.from([byte]))
  for (const byte of answered) server(Buffer.from([byte]))
  t.match(log, [{ endMs: null, text: 'update tenants set x = 1', transaction: true }])
  at(7)
  client(frame('Q', 'COMMIT;'))
  for (const byte of readyForQuery('I')) server(Buffer.from([byte]))
  t.equal(log[0]?.endMs, 7)
})

t.test('the control plane is told apart, unless work is mixed with it', async (t) => {
  const { log, query, extended, ready } = connection()
  extended('select * from budget_leases')
  ready('I')
  query('BEGIN')
  ready('T')
  extended('update budget_leases set slots = 1')
  ready('T')
  query('COMMIT')
  ready('I')
  query('BEGIN')
  ready('T')
  extended('update budget_leases set slots = 1')
  ready('T')
  extended('insert into sources values (1)')
  ready('T')
  query('COMMIT')
  ready('I')
  query('BEGIN')
  ready('T')
  extended('insert into sources values (1)')
  ready('T')
  extended('update budget_leases set slots = 1')
  ready('T')
  query('COMMIT')
  ready('I')
  t.same(
    log.map(({ control }) => control),
    [true, true, false, false],
  )
})

t.test('a connection that closes in the middle ends what was in flight, and only that', async (t) => {
  const { log, query, ready, closed, at } = connection()
  query('select 1')
  ready('I')
  at(3)
  query('select 2')
  at(8)
  closed()
  closed()
  t.match(log, [
    { endMs: 0, cut: false },
    { endMs: 8, cut: true },
  ])
})
