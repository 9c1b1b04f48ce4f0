/** Processor time that another process has used, all its threads together. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** Clock ticks a second in /proc: fixed at 100 in the kernel's interface to programs (USER_HZ). */
const TICKS_PER_SECOND = 100

/** Milliseconds. On Linux in steps of 10; elsewhere as `ps` gives it. @throws when there is no such process */
export function processorMs(pid: number): number {
  if (process.platform === 'linux') return fromStat(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  return fromPs(execFileSync('ps', ['-o', 'time=', '-p', String(pid)], { encoding: 'utf8' }))
}

/** utime and stime are fields 14 and 15; the name in field 2 may hold spaces and brackets, so count from its end. */
export function fromStat(line: string): number {
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
  return ((Number(fields[11]) + Number(fields[12])) * 1_000) / TICKS_PER_SECOND
}

/** `[[days-]hours:]minutes:seconds[.hundredths]` */
export function fromPs(text: string): number {
  const [clock = '', days = '0'] = text.trim().split('-').reverse()
  const seconds = clock.split(':').reduce((sum, part) => sum * 60 + Number(part), 0)
  return Math.round((Number(days) * 86_400 + seconds) * 1_000)
}
