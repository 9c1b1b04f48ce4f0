import { chmodSync, existsSync, mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import type { UserError } from '../../streams/errors.ts'
import { checkRequirements, parseJavaVersion } from './requirements.ts'

/** A PATH that holds these programs and no others; each prints its text. */
function path(t: Test, programs: Record<string, string>): string {
  // One folder a test: asking for it again would empty it.
  const folder = mkdtempSync(join(existsSync(t.testdirName) ? t.testdirName : t.testdir(), 'bin-'))
  for (const [name, text] of Object.entries(programs)) {
    writeFileSync(join(folder, name), `#!/bin/sh\necho '${text}' >&2\n`)
    chmodSync(join(folder, name), 0o755)
  }
  return folder
}

async function problem(t: Test, programs: Record<string, string>, parts: string[], libDir = '/nonexistent') {
  const before = process.env.PATH
  process.env.PATH = path(t, programs)
  try {
    await checkRequirements(parts, libDir)
    return undefined
  } catch (error) {
    return error as UserError
  } finally {
    process.env.PATH = before
  }
}

const JAVA_17 = 'openjdk version "17.0.15" 2025-04-15'

t.test('missing Java and Maven are one error that names both and both ways out', async (t) => {
  const error = await problem(t, {}, ['kafka', 'registry', 'postgres'])
  t.equal(error?.name, 'UserError')
  t.match(error?.message, /no `java`.*no `mvn`/)
  t.match(error?.hint, /openjdk-17-jre-headless maven/)
  t.match(error?.hint, /KAFKA_BROKERS/)
  t.match(error?.hint, /docker compose up/)
})

t.test('a Java that is too old is named with its version', async (t) => {
  const error = await problem(t, { java: 'openjdk version "11.0.2"', mvn: '' }, ['kafka'])
  t.match(error?.message, /version 11 \(17 or newer/)
  t.notMatch(error?.message, /mvn/)
})

t.test('Maven is not needed for what has been fetched already', async (t) => {
  const lib = t.testdir({ 'kafka-4.1.0': {} })
  t.match((await problem(t, { java: JAVA_17 }, ['registry'], lib))?.message, /no `mvn`/)
  t.equal(await problem(t, { java: JAVA_17 }, ['kafka'], lib), undefined)
})

t.test('neither is needed for Postgres and embeddings', async (t) => {
  t.equal(await problem(t, {}, ['postgres', 'embeddings']), undefined)
})

t.test('Java versions are read in the old and the new form', async (t) => {
  t.equal(parseJavaVersion(JAVA_17), 17)
  t.equal(parseJavaVersion('java version "1.8.0_402"'), 8)
  t.equal(parseJavaVersion('openjdk version "21" 2023-09-19'), 21)
  t.equal(parseJavaVersion('command not found'), undefined)
})
