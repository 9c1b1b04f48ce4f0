/**
 * `npm run mutants`: breaks each invariant's code on purpose, one break at a time in a copy of the tree, and demands that
 * a named test turns red. A mutant that survives is a hole in the tests.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

interface Edit {
  readonly file: string
  readonly find: string
  readonly replace: string
}

interface Mutant extends Edit {
  readonly name: string
  /** Further places that the same break takes. */
  readonly also?: readonly Edit[]
  /** Test file and the name of the test that must fail. */
  readonly test: string
  readonly red: string
}

const mutants: Mutant[] = [
  {
    name: 'commit before insert: a record counts as finished before its effect is durable',
    file: 'streams/runtime/record-settler.ts',
    find: '    const what = await d.settle(outcome, raw)\n    assignment.watermark.finish(offset)\n',
    replace: '    assignment.watermark.finish(offset)\n    const what = await d.settle(outcome, raw)\n',
    test: 'streams/runtime/partition-run.test.ts',
    red: 'the offset moves only once the effect of a record is durable',
  },
  {
    name: 'ignore() without its target: any unique violation is swallowed',
    file: 'connectors/postgres/chunk-rows.ts',
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
    also: [
      {
        file: 'connectors/postgres/chunk-rows.ts',
        find: "'(tenant_id, source_id, chunk_type, chunk_index) where source_id is not null'",
        replace: "'(source_id, chunk_type, chunk_index) where source_id is not null'",
      },
    ],
    test: 'connectors/postgres/store.test.ts',
    red: 'tenants are apart even where their source ids are equal',
  },
  {
    name: 'tenant out of the page’s identity',
    file: 'streams/source-id.ts',
    find: 'JSON.stringify([tenantId, canonicalUrl])',
    replace: 'canonicalUrl',
    test: 'streams/source-id.test.ts',
    red: 'a page has one identity per tenant, and it never changes',
  },
  {
    name: 'auto-resolve on: the unprocessed rest of a batch is skipped',
    file: 'streams/runtime/run-stage.ts',
    find: 'eachBatchAutoResolve: false',
    replace: 'eachBatchAutoResolve: true',
    test: 'streams/runtime/fetched-while-paused.test.ts',
    red: 'what was fetched before a pause and handed in after it is not skipped',
  },
  {
    name: 'ledger outside the transaction',
    file: 'connectors/postgres/store.ts',
    find: '            const results = await applyWrites(trx, writes)\n            await advanceLedger(trx, group, ledger)\n            return results\n          }),',
    replace:
      '            return applyWrites(trx, writes)\n          }).then(async (results) => (await advanceLedger(db as never, group, ledger), results)),',
    test: 'connectors/postgres/store.test.ts',
    red: 'a zombie writes neither chunks nor ledger',
  },
  {
    name: 'offsets follow the watermark alone, past the ledger',
    file: 'streams/runtime/commit.ts',
    find: 'return ledger === null || next < ledger ? next : ledger',
    replace: 'return next',
    test: 'streams/runtime/commit.test.ts',
    red: 'with a ledger, what is committed never passes it; one that is ahead (a replay) holds nothing back',
  },
  {
    name: 'the source row is not locked: an old version may overwrite a new one',
    file: 'connectors/postgres/page-writer.ts',
    find: "if (decision === 'write') {",
    replace: "if (decision !== 'unchanged') {",
    test: 'connectors/postgres/store.test.ts',
    red: 'an old version after a new one changes nothing',
  },
  {
    name: 'no jitter on resume',
    file: 'streams/runtime/pause-scheduler.ts',
    find: 'clock.after(resumeGapMs * (0.5 + random()), wakeNext)',
    replace: 'clock.after(resumeGapMs, wakeNext)',
    test: 'streams/runtime/pause-scheduler.test.ts',
    red: 'between two resumes lies a gap with jitter: instances do not march in step',
  },
  {
    name: 'resume all at once',
    file: 'streams/runtime/pause-scheduler.ts',
    find: '    if (!cancelWake) wakeNext()\n',
    replace: '    wakeNext()\n',
    test: 'streams/runtime/pause-scheduler.test.ts',
    red: 'partitions resume one at a time, a gap apart',
  },
  {
    name: 'per-process instead of fleet budget: what others hold is not taken off',
    file: 'migrations/007_budget_leases.ts',
    find: 'greatest(leasable.capacity - live.others, live.own)',
    replace: 'leasable.capacity',
    test: 'connectors/postgres/budget-leases.test.ts',
    red: 'what is held by others is not given out, until their leases end',
  },
  {
    name: 'lease without expiry, in the table',
    file: 'migrations/007_budget_leases.ts',
    find: 'from budget_leases b where b.resource = ask.resource and b.expires_at > moment\n    ) live',
    replace: 'from budget_leases b where b.resource = ask.resource\n    ) live',
    test: 'connectors/postgres/budget-leases.test.ts',
    red: 'what is held by others is not given out, until their leases end',
  },
  {
    name: 'lease without expiry, in the process',
    file: 'streams/throttle/leases-holding.ts',
    find: 'const isLive = (nowMs: number) => known !== undefined && nowMs < known.expiresAtMs',
    replace: 'const isLive = (_nowMs: number) => known !== undefined',
    test: 'streams/throttle/leases.test.ts',
    red: 'a process that was stopped has nothing when it goes on, before any timer has run',
  },
  {
    name: 'breaker without sharing: each instance its own',
    file: 'streams/throttle/breaker.ts',
    find: '    await channel?.publish(breakerKey(dependency), writeBreaker(dependency, record))\n',
    replace: '    await Promise.resolve(record)\n',
    test: 'streams/throttle/breaker.test.ts',
    red: 'one instance of many probes; its success closes the circuit for all',
  },
  {
    name: 'a burst at the start of a rate: idle time earns credit',
    file: 'streams/throttle/rate.ts',
    find: 'if (owed < 0) owed = Math.max(owed, -creditMs(nowMs) * Math.min(seenPerMs, current))',
    replace: 'if (owed < -10) owed = -10',
    test: 'streams/throttle/rate.test.ts',
    red: 'one leaves at once, the next after 1 / rate; a long rest makes no burst',
  },
]

const root = join(import.meta.dirname, '..', '..')
const only = process.argv[2]
const copy = mkdtempSync(join(tmpdir(), 'sluice-mutants-'))
const green = new Map<string, boolean>()
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

/** @returns whether the named test turned red. */
function tryMutant({ name, test, red, also = [], ...first }: Mutant): boolean {
  const edits = [first, ...also]
  const missing = edits.find(({ file, find }) => readFileSync(join(copy, file), 'utf8').split(find).length !== 2)
  if (missing || !isGreen(test)) {
    console.log(
      `BROKEN   ${name}: ${missing ? `its text is not exactly once in ${missing.file}` : `${test} is red without it`}`,
    )
    return false
  }
  const originals = edits.map(({ file }) => readFileSync(join(copy, file), 'utf8'))
  edits.forEach(({ file, find, replace }, i) =>
    writeFileSync(
      join(copy, file),
      originals[i]!.replace(find, () => replace),
    ),
  )
  const failed = failedTests(test)
  edits.forEach(({ file }, i) => writeFileSync(join(copy, file), originals[i]!))
  const caught = red === '' ? failed.length > 0 : failed.includes(red)
  console.log(
    `${caught ? 'caught  ' : 'SURVIVED'} ${name}\n           ${test}: ${failed.join('; ') || 'no test failed'}`,
  )
  return caught
}

/** A test that is red anyway catches nothing. */
function isGreen(test: string): boolean {
  const known = green.get(test) ?? failedTests(test).length === 0
  green.set(test, known)
  return known
}

function failedTests(test: string): string[] {
  const { stdout, status } = spawnSync(process.execPath, [test], {
    cwd: copy,
    encoding: 'utf8',
    timeout: 240_000,
    env: { ...process.env, SLUICE_DATA_DIR: process.env['SLUICE_DATA_DIR'] ?? join(root, '.sluice') },
  })
  const failed = [...stdout.matchAll(/^not ok \d+ - (.*?)(?: # .*)?$/gm)].map(([, title]) => title!)
  return failed.length === 0 && status !== 0 ? ['the file as a whole'] : failed
}
