import t from 'tap'
import { sourceId } from './source-id.ts'

t.test('a page has one identity per tenant, and it never changes', async (t) => {
  t.equal(sourceId('acme', 'https://a.example/'), '64f93891-221d-5b99-82a6-c00a0ed9df68')
  t.not(sourceId('acme', 'https://a.example/'), sourceId('other', 'https://a.example/'))
  t.not(sourceId('acme', 'https://a.example/'), sourceId('acme', 'https://a.example/b'))
  t.not(sourceId('a"', 'b'), sourceId('a', '"b'))
})
