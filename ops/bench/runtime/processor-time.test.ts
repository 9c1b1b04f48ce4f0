import t from 'tap'
import { fromPs, fromStat, processorMs } from './processor-time.ts'

void t.test('the time is utime and stime, whatever the process is called', async (t) => {
  const stat = '4711 (node) worker) x) S 1 4711 4711 0 -1 4194560 9000 0 3 0 250 50 7 8 20 0 11 0 12345 1000 2000'
  t.equal(fromStat(stat), 3_000)
})

void t.test('ps gives it in parts, with hundredths on some systems and days on others', async (t) => {
  t.equal(fromPs(' 1:02.50\n'), 62_500)
  t.equal(fromPs('00:01:02'), 62_000)
  t.equal(fromPs('2-01:00:00'), 49 * 3_600_000)
})

void t.test('this very process has used some', async (t) => {
  const before = processorMs(process.pid)
  const until = process.cpuUsage().user + 100_000
  while (process.cpuUsage().user < until); // processor time, not time by the wall: no load of the machine can break it
  t.ok(processorMs(process.pid) > before)
  t.throws(() => processorMs(2 ** 30))
})
