import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import t from 'tap'
import { DependencyUnavailable } from '../streams/errors.ts'
import { createCodec } from './codec.ts'

t.test('a registry that takes requests and never answers is away: neither reading nor writing hangs', async (t) => {
  const silent = createServer(() => {}).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.teardown(() => silent.close())
  const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`
  const codec = createCodec({ url, prefix: '', timeoutMs: 50 })
  const value = Buffer.from([0, 0, 0, 0, 7, 1])
  await t.rejects(codec.decode('pages.crawled', value), DependencyUnavailable)
  await t.rejects(codec.decode('pages.crawled', value), DependencyUnavailable, 'it is asked again')
  await t.rejects(codec.encode('pages.crawled', {}), DependencyUnavailable)
})
