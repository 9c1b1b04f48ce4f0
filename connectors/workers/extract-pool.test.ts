import t from 'tap'
import { createExtractPool } from './extract-pool.ts'

const hostile = new URL('./hostile-worker.ts', import.meta.url).href
const page = (text: string) => ({ body: Buffer.from(text), contentType: 'text/plain', url: 'https://a.example/' })
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'none',
    (error: Error & { code?: string }) => error.code ?? error.message,
  )

t.test('a page that hangs its worker is killed at its limit, and its neighbours complete', async (t) => {
  const pool = createExtractPool({ workers: 2, timeoutMs: 500, memoryMb: 128, workerFile: hostile })
  t.teardown(() => pool.close())
  await pool.warm()
  const hung = codeOf(pool.extract(page('hang')))
  const neighbours = await Promise.all(['a', 'b', 'c'].map((text) => pool.extract(page(text))))
  t.same(
    neighbours.map(({ title }) => title),
    ['a', 'b', 'c'],
  )
  t.equal(await hung, 'extract_timeout')
  t.equal((await pool.extract(page('after'))).title, 'after', 'the killed worker was replaced')
})

t.test('a page that explodes its worker is told apart from one that hangs', async (t) => {
  const pool = createExtractPool({ workers: 1, timeoutMs: 20_000, memoryMb: 128, workerFile: hostile })
  t.teardown(() => pool.close())
  const exploding = codeOf(pool.extract(page('explode')))
  const waiting = pool.extract(page('next'))
  t.equal(await exploding, 'extract_out_of_memory')
  t.equal((await waiting).title, 'next')
})

t.test('a worker that dies for no reason of the page gives a retriable error', async (t) => {
  const pool = createExtractPool({ workers: 1, timeoutMs: 5_000, memoryMb: 128, workerFile: hostile })
  t.teardown(() => pool.close())
  await t.rejects(pool.extract(page('exit')), { code: 'extract_failed', retriable: true })
  t.equal((await pool.extract(page('after'))).title, 'after')
})

t.test('an aborted page frees its worker, and one that waits never runs', async (t) => {
  const pool = createExtractPool({ workers: 1, timeoutMs: 60_000, memoryMb: 128, workerFile: hostile })
  t.teardown(() => pool.close())
  await pool.warm()
  const [running, queued] = [new AbortController(), new AbortController()]
  const hung = t.rejects(pool.extract(page('hang'), running.signal), { message: 'partition lost' })
  const waiting = t.rejects(pool.extract(page('hang'), queued.signal), { message: 'not wanted' })
  const next = pool.extract(page('next'))
  queued.abort(new Error('not wanted'))
  running.abort(new Error('partition lost'))
  await Promise.all([hung, waiting])
  t.equal((await next).title, 'next')
})

t.test('the real worker reads html', async (t) => {
  const pool = createExtractPool({ workers: 1, timeoutMs: 20_000, memoryMb: 256 })
  t.teardown(() => pool.close())
  await pool.warm()
  const html = '<html lang=en><title>Tea</title><body><main><h1>Tea</h1><p>Water at 80 degrees, two minutes.</p></main>'
  const input = { ...page(html), contentType: 'text/html' }
  t.match(await pool.extract(input), { title: 'Tea', language: 'en', empty: false })
})
