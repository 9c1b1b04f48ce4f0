/**
 * `npm run mutants`: breaks each invariant's code on purpose, one break at a time in a copy of the tree, and demands that
 * a named test turns red. A mutant that survives is a hole in the tests.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

interface Mutant {
  readonly name: string
  readonly file: string
  readonly find: string
  readonly replace: string
  /** Test file and the name of the test that must fail. */
  readonly test: string
  readonly red: string
}

const mutants: Mutant[] = [
  {
    name: 'commit before insert: a record counts as finished before its effect is durable',
    file: 'streams/runtime/slice.ts',
    find: '    const what = await d.settle(outcome, raw)\n    assignment.watermark.finish(offset)\n',
    replace: '    assignment.watermark.finish(offset)\n    const what = await d.settle(outcome, raw)\n',
    test: 'streams/runtime/slice.test.ts',
    red: '',
  },
  {
    name: 'ignore() without its target: any unique violation is swallowed',
    file: 'connectors/postgres/page-writer.ts',
    find: ".onConflict(trx.raw('(tenant_id, source_id, chunk_type, chunk_index) where source_id is not null'))",
    replace: '.onConflict()',
    test: 'connectors/postgres/store.test.ts',
    red: 'a conflict on any other key is an error, never a row that silently vanishes',
  },
  {
    name: 'tenant out of the unique key',
    file: 'migrations/003_unique_chunk_per_source.ts',
    find: 'on tenant_knowledge (tenant_id, source_id, chunk_type, chunk_index)\n',
    replace: 'on tenant_knowledge (source_id, chunk_type, chunk_index)\n',
    test: 'connectors/postgres/store.test.ts',
    red: 'tenants are apart even where their source ids are equal',
  },
  {
    name: 'tenant out of the page’s identity',
    file: 'streams/source-id.ts',
    find: 'JSON.stringify([tenantId, canonicalUrl])',
    replace: 'canonicalUrl',
    test: 'streams/source-id.test.ts',
    red: '',
  },
  {
    name: 'auto-resolve on: the unprocessed rest of a batch is skipped',
    file: 'streams/runtime/run-stage.ts',
    find: 'eachBatchAutoResolve: false',
    replace: 'eachBatchAutoResolve: true',
    test: 'ops/outage.test.ts',
    red: 'while Postgres is away the chunker’s partition stays paused and the processor goes on',
  },
  {
    name: 'ledger outside the transaction',
    file: 'connectors/postgres/store.ts',
    find: 'await advanceLedger(trx, group, ledger)\n            return results',
    replace: 'await advanceLedger(db as never, group, ledger)\n            return results',
    test: 'connectors/postgres/store.test.ts',
    red: 'a zombie writes neither chunks nor ledger',
  },
  {
    name: 'offsets follow the watermark alone, past the ledger',
    file: 'streams/runtime/commit.ts',
    find: 'ledger === null || next < ledger ? next : ledger',
    replace: 'next',
    test: 'streams/runtime/slice.test.ts',
    red: '',
  },
  {
    name: 'the source row is not locked: an old version may overwrite a new one',
    file: 'connectors/postgres/page-writer.ts',
    find: "if (decision === 'write') {",
    replace: "if (decision !== 'unchanged') {",
    test: 'connectors/postgres/store.test.ts',
    red: 'an old version after a new one changes nothing',
  },
]

const root = join(import.meta.dirname, '..', '..')
const only = process.argv[2]
const copy = mkdtempSync(join(tmpdir(), 'sluice-mutants-'))
let survived = 0
try {
  for (const path of execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  })
    .trim()
    .split('\n'))
    cpSync(join(root, path), join(copy, path), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  for (const mutant of mutants) if (!only || mutant.name.includes(only)) survived += tryMutant(mutant) ? 0 : 1
} finally {
  rmSync(copy, { recursive: true, force: true })
}
console.log(survived === 0 ? 'every mutant was caught' : `${survived} mutant(s) survived`)
process.exitCode = survived === 0 ? 0 : 1

/** @returns whether a test turned red. */
function tryMutant({ name, file, find, replace, test, red }: Mutant): boolean {
  const path = join(copy, file)
  const original = readFileSync(path, 'utf8')
  if (original.split(find).length !== 2) {
    console.log(`BROKEN   ${name}: its text is not exactly once in ${file}`)
    return false
  }
  writeFileSync(
    path,
    original.replace(find, () => replace),
  )
  const { stdout, status } = spawnSync(process.execPath, [test], {
    cwd: copy,
    encoding: 'utf8',
    timeout: 240_000,
    env: { ...process.env, SLUICE_DATA_DIR: process.env['SLUICE_DATA_DIR'] ?? join(root, '.sluice') },
  })
  writeFileSync(path, original)
  const failed = [...stdout.matchAll(/^not ok \d+ - (.*?)(?: # .*)?$/gm)].map(([, title]) => title!)
  const caught = status !== 0 && (red === '' ? failed.length > 0 : failed.includes(red))
  console.log(
    `${caught ? 'caught  ' : 'SURVIVED'} ${name}\n           ${test}: ${failed.join('; ') || 'no test failed'}`,
  )
  return caught
}
