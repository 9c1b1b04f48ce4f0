/** What a failed statement means, keyed by SQLSTATE: wait for the server, try again at once, or blame the data. */
import { DependencyUnavailable, Fenced, StageError, UserError, errorMessage } from '../../streams/errors.ts'

type Verdict = 'away' | 'again' | 'data'

/** By class (two characters) or by full code; codes win. https://www.postgresql.org/docs/current/errcodes-appendix.html */
const verdicts: Readonly<Record<string, Verdict>> = {
  '08': 'away', // connection exception
  '08P01': 'data', // protocol violation: the statement itself is at fault
  '28': 'away', // wrong password, no such role
  '3D': 'away', // no such database
  '42': 'away', // a table, column, privilege or the unique index is missing: everybody's trouble, no record's
  '53': 'away', // insufficient resources: too many connections, disk full
  '57': 'away', // operator intervention: shutdown, crash, terminated; also statement timeout
  '58': 'away', // system error
  XX: 'away', // internal error
  '25P03': 'away', // idle in transaction timeout
  '25006': 'away', // read only: a failover in progress
  '40': 'again', // serialization failure, deadlock
  '55P03': 'again', // lock not available within lock_timeout
  '22': 'data',
  '23': 'data',
  '54': 'data', // program limit exceeded: a key or row too large
}

export const sqlState = (error: unknown): string | undefined => {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined
}

export const shouldRepeat = (error: unknown): boolean => verdict(error) === 'again'

function verdict(error: unknown): Verdict | undefined {
  const code = sqlState(error)
  return code === undefined ? undefined : (verdicts[code] ?? verdicts[code.slice(0, 2)])
}

/** Socket errors and knex' pool timeouts carry no SQLSTATE. */
const connectionTrouble =
  /\bE[A-Z_]{3,}\b|certificate|SSL|TLS|Connection terminated|Connection ended|Timeout acquiring a connection|timeout expired|Query read timeout|Unable to acquire|not queryable/i

/** Errors of ours, which say what they mean already. */
const classified = [DependencyUnavailable, Fenced, StageError, UserError]

/** pg's `detail` prints row values, so it is left out. */
export function classifyPostgres(error: unknown): Error {
  if (classified.some((known) => error instanceof known)) return error as Error
  const message = bare(error)
  const what = verdict(error)
  if (what === 'data')
    return new StageError('invalid_data', `Postgres ${sqlState(error)}: ${message}`, { cause: error })
  if (what !== undefined || isConnectionTrouble(error))
    return new DependencyUnavailable('postgres', `Postgres: ${message}`, { cause: error })
  return new StageError('write_failed', `Postgres ${sqlState(error) ?? ''}: ${message}`, {
    retriable: true,
    cause: error,
  })
}

function isConnectionTrouble(error: unknown): boolean {
  const { code, errors } = error as { code?: unknown; errors?: unknown[] }
  return (
    connectionTrouble.test(`${String(code)} ${errorMessage(error)}`) || (errors?.some(isConnectionTrouble) ?? false)
  )
}

/** knex puts the whole SQL with its bindings before the server's message. */
const bare = (error: unknown) => errorMessage(error).split(' - ').at(-1)!.slice(0, 500)
