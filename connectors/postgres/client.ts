/** The pool. Every timeout is set: node-postgres' own defaults wait for ever. */
import knex from 'knex'
import type { Knex } from 'knex'

export interface PostgresSettings {
  readonly url: string
  readonly poolMax: number
  readonly connectTimeoutMs: number
  readonly statementTimeoutMs: number
  readonly lockTimeoutMs: number
  readonly idleInTransactionTimeoutMs: number
}

const silent = () => {}

/** @param dimensions of the embedding column, for the migrations. */
export function createPostgres(settings: PostgresSettings, dimensions: number): Knex {
  return knex({
    client: 'pg',
    connection: {
      connectionString: settings.url,
      connectionTimeoutMillis: settings.connectTimeoutMs,
      statement_timeout: settings.statementTimeoutMs,
      // The server's timeout cannot fire over a black-holed connection; the client's own can.
      // 0 means none for both: an index build of a migration takes its hours.
      query_timeout: settings.statementTimeoutMs === 0 ? 0 : settings.statementTimeoutMs + 5_000,
      lock_timeout: settings.lockTimeoutMs,
      idle_in_transaction_session_timeout: settings.idleInTransactionTimeoutMs,
      keepAlive: true,
      application_name: 'sluice',
    } as Knex.PgConnectionConfig, // knex' type lacks lock_timeout, which node-postgres knows
    acquireConnectionTimeout: settings.connectTimeoutMs * 2,
    // min 0: an idle stage holds no connection, and a dead one is not kept.
    pool: { min: 0, max: settings.poolMax, idleTimeoutMillis: 30_000 },
    userParams: { dimensions },
    // knex prints failures to the console, bindings and stacks included; the rejected promise carries them already.
    log: { warn: silent, error: silent, debug: silent, deprecate: silent },
  } as Knex.Config) // its type lacks userParams, which knex documents
}
