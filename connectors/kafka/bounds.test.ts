import kafkajs from 'kafkajs'
import type { Admin } from 'kafkajs'
import t from 'tap'
import { fetchBounds } from './bounds.ts'

const notLeader = () =>
  Object.assign(new kafkajs.KafkaJSProtocolError(new Error('not the leader')), {
    type: 'NOT_LEADER_FOR_PARTITION',
    retriable: true,
  })
const entry = { partition: 0, low: '2', high: '7', offset: '7' }

/** An admin client whose reads of offsets fail as listed, first to last, and whose metadata refreshes are counted. */
function failing(errors: Error[]) {
  const seen = { refreshed: 0 }
  const admin = {
    fetchTopicOffsets: () => {
      const error = errors.shift()
      return error ? Promise.reject(error) : Promise.resolve([entry])
    },
    listGroups: () => {
      seen.refreshed += 1
      return Promise.reject(new Error('one broker is away'))
    },
  } as unknown as Admin
  return { admin, seen }
}

t.test('a leader that is not there yet, or no more, is asked again on fresh metadata', async (t) => {
  const { admin, seen } = failing([notLeader(), new TypeError('metadata is being refreshed')])
  t.strictSame(await fetchBounds(admin, 'topic'), [{ partition: 0, low: 2n, high: 7n }])
  t.equal(seen.refreshed, 2)
})

t.test('an error that does not pass by itself is thrown at once', async (t) => {
  const { admin, seen } = failing([new kafkajs.KafkaJSNonRetriableError('not authorised')])
  await t.rejects(fetchBounds(admin, 'topic'), { message: 'not authorised' })
  t.equal(seen.refreshed, 0)
  t.strictSame(await fetchBounds(admin, 'topic'), [{ partition: 0, low: 2n, high: 7n }], 'and the next call is served')
})
