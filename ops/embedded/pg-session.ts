/**
 * What is a client's own in PostgreSQL but shared in an engine with one session: settings, and the names of prepared
 * statements. Settings are taken away and given back when the turn changes between clients whose settings differ.
 * Still shared: temporary tables, LISTEN, session-level advisory locks, PREPARE as SQL, set_config(…, false).
 */
import { firstColumn, type Answer, type Engine } from './pg-engine.ts'
import { frame, readCString, type Frame } from './pg-frames.ts'

export type Settings = ReadonlyMap<string, string>

const READ_SETTINGS = `
  select name || '=' || setting from pg_settings where source = 'session' and context in ('user', 'superuser')
  union all select 'role=' || current_setting('role') where current_setting('role') <> 'none'
  order by 1`

/**
 * These would end the engine itself: it has no other process to end, and then spins. The server keeps the first one's
 * promise instead, the others have no effect.
 */
const ENDING_SETTINGS = ['idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout']

const literal = (text: string) => `'${text.replaceAll("'", "''")}'`
const keyOf = (settings: Settings) => JSON.stringify([...settings].sort())

/** Keeps the engine's settings those of whose turn it is. */
export function createSettingsKeeper(engine: Engine) {
  const read = (): Settings =>
    new Map(
      firstColumn(engine.query(READ_SETTINGS)).map((line) => {
        const at = line.indexOf('=')
        return [line.slice(0, at), line.slice(at + 1)]
      }),
    )
  let appliedKey = keyOf(new Map())
  return {
    /** @returns the error if a setting is refused; the engine then has its defaults. */
    apply(settings: Settings): Answer['error'] {
      const key = keyOf(settings)
      if (key === appliedKey) return undefined
      engine.query('reset session authorization; reset role; reset all')
      appliedKey = keyOf(new Map())
      const harmless = [...settings].filter(([name]) => !ENDING_SETTINGS.includes(name))
      if (harmless.length === 0) return undefined
      // `role` last: after it, others may no longer be allowed.
      const calls = harmless
        .sort(([a], [b]) => Number(a === 'role') - Number(b === 'role'))
        .map(([name, value]) => `set_config(${literal(name)}, ${literal(value)}, false)`)
      const { error } = engine.query(`select ${calls.join(', ')}`)
      if (!error) appliedKey = key
      return error
    },
    /** After a client changed its settings, in the transaction or before it: what they are now. */
    read(before: Settings): Settings {
      const settings = new Map(read())
      for (const name of ENDING_SETTINGS) {
        const value = settings.get(name)
        if (value !== undefined) engine.query(`reset ${name}`)
        else if (before.has(name)) settings.set(name, before.get(name)!)
      }
      appliedKey = keyOf(settings)
      return settings
    },
  }
}

/** Tags of commands after which the settings must be read again. */
export const changesSettings = (tags: readonly string[]) =>
  tags.some((tag) => tag === 'SET' || tag === 'RESET' || tag === 'DISCARD ALL')

/** Settings in a startup message: `options` is a command line, the others are names as they stand. */
export function startupSettings(parameters: ReadonlyMap<string, string>): Settings {
  const settings = new Map<string, string>()
  const notSettings = new Set(['user', 'database', 'replication', 'options', 'client_encoding'])
  for (const [name, value] of parameters) {
    if (!notSettings.has(name) && !name.startsWith('_pq_.')) settings.set(name, value)
  }
  for (const [, name, value] of (parameters.get('options') ?? '').matchAll(/(?:-c\s*|--)([\w.-]+)=((?:\\.|\S)*)/g)) {
    settings.set(name!.replaceAll('-', '_'), value!.replaceAll(/\\(.)/g, '$1'))
  }
  return settings
}

/** Milliseconds of a setting such as `15000`, `15s` or `2min`; 0 when it is not set. */
export function settingMs(settings: Settings, name: string): number {
  const [, amount, unit] = /^(\d+)\s*(ms|s|min|h)?$/.exec(settings.get(name) ?? '') ?? []
  return Number(amount ?? 0) * { ms: 1, s: 1_000, min: 60_000, h: 3_600_000 }[unit ?? 'ms']!
}

/** Gives a client's named statements names of their own in the engine. */
export function renameStatements({ type, bytes }: Frame, prefix: string): Buffer {
  const renamed = (before: Buffer[], at: number) => {
    const [name, next] = readCString(bytes, at)
    return name === '' ? bytes : frame(type, ...before, prefix + name, bytes.subarray(next))
  }
  if (type === 'P') return renamed([], 5)
  if (type === 'B') {
    const [, statementAt] = readCString(bytes, 5)
    return renamed([bytes.subarray(5, statementAt)], statementAt)
  }
  const namesStatement = (type === 'D' || type === 'C') && bytes[5] === 'S'.charCodeAt(0)
  return namesStatement ? renamed([bytes.subarray(5, 6)], 6) : bytes
}

/** The statement a Parse message makes: its name in the engine, '' for the unnamed one. */
export const parsedStatement = (bytes: Buffer) => readCString(bytes, 5)[0]

/** The engine takes no data in the middle of a statement: it would end itself. */
const COPY_FROM_CLIENT = /\bcopy\b[^;]*\bfrom\s+stdin\b/i
const NOT_SUPPORTED = `do $$ begin raise exception 'COPY FROM STDIN is not supported by the embedded engine'
  using errcode = '0A000'; end $$`

/** Puts an error in the place of a statement that would end the engine. */
export function refuseCopy(message: Frame): Frame {
  const { type, bytes } = message
  if (type !== 'Q' && type !== 'P') return message
  const textAt = type === 'Q' ? 5 : readCString(bytes, 5)[1]
  if (!COPY_FROM_CLIENT.test(readCString(bytes, textAt)[0])) return message
  const replaced =
    type === 'Q' ? frame('Q', NOT_SUPPORTED) : frame('P', parsedStatement(bytes), NOT_SUPPORTED, Buffer.alloc(2))
  return { type, bytes: replaced }
}
