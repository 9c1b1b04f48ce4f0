import t from 'tap'
import { createJobs } from './jobs.ts'

const untilCut = (signal: AbortSignal) =>
  new Promise<string>((resolve) => signal.addEventListener('abort', () => resolve('cut off')))

t.test('the end cuts off what goes on, and takes nothing new', async (t) => {
  const jobs = createJobs(1)
  await jobs.start('a replay', (_tell, signal) => untilCut(signal))
  await jobs.close()
  t.match(jobs.list(), [{ what: 'a replay', state: 'stopped', detail: 'cut off' }])
  await t.rejects(
    jobs.start('another', async () => 'done'),
    { name: 'UserError', hint: /another instance/ },
  )
})

t.test('a job that does not end is left behind, and asked about once', async (t) => {
  const jobs = createJobs(1, 1)
  await jobs.start('a hung one', () => new Promise(() => {}))
  const end = jobs.close()
  t.equal(jobs.close(), end, 'a second shutdown step does not wait anew')
  await end
  t.match(jobs.list(), [{ state: 'running' }])
})
