import t from 'tap'
import type { Ask } from '../../streams/throttle/ports.ts'
import { readConfig } from '../config.ts'
import { withEndpoints } from '../endpoints.ts'
import type { Services } from '../services.ts'
import { createTestDatabase } from '../testing/database.ts'
import { modest, replayServices } from './stage.ts'

const { db, close } = await createTestDatabase()
t.teardown(close)

t.test('whatever a replay asks for, it asks in the lane that yields', async (t) => {
  const lanes: (string | undefined)[] = []
  const gate = {
    acquire: async ({ lane }: Ask) => {
      lanes.push(lane)
      return () => {}
    },
  }
  const services = replayServices({
    db,
    throttle: { gates: { database: gate }, breakers: { postgres: { succeeded: () => {}, failed: () => {} } } },
    embeddings: {
      embed: async (...[, , , lane]: Parameters<Services['embeddings']['embed']>) => {
        lanes.push(lane)
        return { vectors: [], tokens: 0 }
      },
    },
  } as unknown as Services)
  await services.store.readSource('acme', '6ba7b810-9dad-11d1-80b4-00c04fd430c8')
  await services.store.storedVectors('acme', ['a'])
  await services.store.transact('group', [], [])
  await services.embeddings.embed('acme', [], new AbortController().signal)
  t.strictSame(lanes, ['replay', 'replay', 'replay', 'replay'])
})

t.test('where nothing is limited it holds itself to little', async (t) => {
  const config = withEndpoints(readConfig({}), {})
  const { postgres, embeddings } = modest(config)
  t.equal(postgres.poolMax - postgres.poolSpare, 1)
  t.equal(embeddings.adaptiveMaxInFlight, 2)
  t.equal(modest(withEndpoints(readConfig({ DATABASE_MAX_IN_FLIGHT: '50' }), {})).postgres.poolMax, postgres.poolMax)
})
