/** What a test run shares between its files; set by ops/testing/run.ts, absent when a file is run by itself. */
export const testEnvironment = {
  brokers: process.env['SLUICE_TEST_BROKERS'],
  registryUrl: process.env['SLUICE_TEST_REGISTRY_URL'],
  /** A real Postgres; without it each test file has a PGlite of its own. */
  databaseUrl: process.env['SLUICE_TEST_DATABASE_URL'],
  /** Logs of the stages under test; silent unless something is to be found out. */
  logLevel: process.env['SLUICE_TEST_LOG'] ?? 'silent',
}
