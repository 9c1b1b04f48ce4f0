/** Dead letters for people. Every text of a record may be anybody's: none reaches the terminal as it is. */
import { deadLetterTopic } from '../../schemas/topics.ts'
import type { ConsumedTopic } from '../../schemas/topics.ts'
import type { DeadLetter, Refusal } from '../dlq/dead-letters.ts'
import { plainText, prettyJson } from '../dlq/plain-text.ts'
import { note, paint } from './output.ts'
import type { Output } from './output.ts'

export const columns = (one: DeadLetter) => ({
  topic: one.topic,
  at: `${one.partition}:${one.offset}`,
  tenant: plainText(one.tenant),
  code: plainText(one.code),
  state: one.state,
  tries: one.attempts,
  cycle: one.cycle,
  age: age(one.deadSinceMs),
  page: plainText(pageOf(one)).slice(0, 60),
  message: plainText(one.message).slice(0, 80),
})

const pageOf = ({ value }: DeadLetter): string => {
  if (value.kind !== 'decoded') return value.kind === 'empty' ? '' : `(${value.kind}) ${value.value}`
  const { url, urls } = value.value as { url?: unknown; urls?: unknown }
  return typeof url === 'string' ? url : Array.isArray(urls) ? String(urls[0] ?? '') : ''
}

export function describe(one: DeadLetter): string {
  const { origin, action, value } = one
  const facts = {
    record: `${deadLetterTopic(one.topic)} ${one.partition}:${one.offset}, ${one.bytes} bytes`,
    origin: `${origin.topic} ${origin.partition}:${origin.offset}`,
    tenant: one.tenant,
    error: `${one.code}: ${one.message}`,
    attempts: `${one.attempts}, after ${one.cycle} redrives`,
    'first failure': time(one.firstFailureMs),
    'dead since': `${time(one.deadSinceMs)} (${age(one.deadSinceMs)})`,
    state: action ? `${action.state} by ${action.actor}, ${time(action.atMs)} ${action.reason}` : one.state,
  }
  const lines = Object.entries(facts).map(([name, fact]) => `${name.padEnd(14)} ${plainText(fact)}`)
  const heading = value.kind === 'decoded' ? 'value' : value.kind === 'empty' ? 'no value' : `value, as ${value.kind}`
  const body = value.kind === 'decoded' ? prettyJson(value.value) : value.kind === 'empty' ? '' : plainText(value.value)
  const why = 'why' in value ? `\n(${plainText(value.why)})` : ''
  return `${lines.join('\n')}\n${paint('bold', heading, process.stdout)}\n${body}${why}`
}

/** A forged header may hold what no date can. */
const time = (ms: number) => (Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : 'unknown')

function age(sinceMs: number): string {
  const seconds = Math.max(0, Math.round((Date.now() - sinceMs) / 1000))
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} h` : `${Math.round(seconds / 86_400)} d`
}

interface Report {
  readonly byCode: Readonly<Record<string, number>>
  readonly alreadyDone: number
  readonly refused: number
  readonly refusals: readonly Refusal[]
}

export function sentence(verb: string, count: number, { byCode, alreadyDone, refused }: Report): string {
  const codes = Object.entries(byCode).map(([code, letters]) => `${plainText(code)}: ${letters}`)
  const rest = [alreadyDone > 0 && `${alreadyDone} decided before`, refused > 0 && `${refused} refused`].filter(Boolean)
  return `${count} ${verb}${codes.length > 0 ? ` (${codes.join(', ')})` : ''}${rest.map((one) => `, ${one}`).join('')}`
}

/** Whoever runs it from a script must see that not all of it was done. */
export function refusals(topic: ConsumedTopic, { refused, refusals: first }: Report, { json }: Output): void {
  if (refused === 0) return
  process.exitCode = 1
  if (!json) for (const { at, reason } of first) note(`${topic} ${at}: ${reason}`)
  if (!json && refused > first.length) note(`… and ${refused - first.length} more`)
}
