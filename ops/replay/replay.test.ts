/** Replays of the whole topic by the command, over a real broker and a database. */
import t from 'tap'
import { checksum, storedRows } from '../testing/checker.ts'
import { RECORDS_A_TENANT, SMALLER, clean, createReplayWorld, nothing } from '../testing/replays.ts'

t.setTimeout(280_000)
const world = await createReplayWorld()
t.teardown(world.close)
const { db, start, sluice, askedFor, expected, leftovers } = world
const RECORDS = 3 * RECORDS_A_TENANT

t.test('the same configuration: every record, no call, no row changed, nothing left behind', async (t) => {
  const before = { sum: await checksum(db), asked: askedFor() }
  const { code, last, stderr } = await sluice('replay', 'chunker', '--from', 'beginning')
  t.equal(code, 0, stderr)
  t.strictSame(last, { records: RECORDS, ...nothing })
  t.strictSame({ sum: await checksum(db), asked: askedFor() }, before)
  t.strictSame(await leftovers(), clean)
})

let estimated: Record<string, unknown> | undefined
t.test('a dry run writes nothing, buys nothing, and leaves nothing behind', async (t) => {
  const before = { sum: await checksum(db), asked: askedFor() }
  const { ended } = start(['replay', 'chunker', '--from', '0', '--dry-run'], {
    ...SMALLER,
    EMBEDDING_PRICE_PER_MILLION: '20',
  })
  const { code, last, stderr } = await ended
  t.equal(code, 0, stderr)
  t.match(last, { records: RECORDS, pagesChanged: 3 * 10 })
  t.match(stderr, /cost: about 0\.\d\d \(20 per million tokens\)/)
  t.strictSame({ sum: await checksum(db), asked: askedFor() }, before)
  t.strictSame(await leftovers(), clean)
  t.equal((await sluice('replay', 'status')).rows.length, 1, 'it is not listed either')
  estimated = last
})

t.test(
  'another chunker: it does what was estimated, buys what is new, and readers see no page half done',
  async (t) => {
    const before = { asked: askedFor(), rows: await storedRows(db) }
    const had = new Set(before.rows.map(tenantAndHash))
    const reader = readPages()
    const { code, last, stderr } = await start(['replay', 'chunker', '--from', 'beginning'], SMALLER).ended
    t.equal(code, 0, stderr)
    t.strictSame(last, estimated)
    t.strictSame(await storedRows(db), expected(SMALLER), 'the newest version of each page, in the new chunks')
    const seen = await reader.stop()
    const after = await pagesNow()
    t.ok(seen.polls > 3, `${seen.polls} looks`)
    t.strictSame(
      [...seen.pages].filter(([page, sets]) =>
        [...sets].some((set) => set !== seen.first.get(page) && set !== after.get(page)),
      ),
      [],
      'each page as it was, or as it is now',
    )
    const { rows } = await db.raw(`select tenant_id, content_hash from tenant_knowledge where embedding is not null`)
    const fresh = new Set(
      (rows as Row[]).map((row) => `${row.tenant_id} ${row.content_hash}`).filter((one) => !had.has(one)),
    )
    t.equal(askedFor() - before.asked, fresh.size, 'each new text once')
    t.equal(last!['embeddingInputs'], fresh.size)
    t.ok(rows.length > fresh.size, 'the texts that stay were not bought again')
  },
)

t.test('done, the same words start another one, which finds nothing to do', async (t) => {
  const { last } = await start(['replay', 'chunker', '--from', 'beginning'], SMALLER).ended
  t.strictSame(last, { records: RECORDS, ...nothing })
})

interface Row {
  tenant_id: string
  content_hash: string
}
const tenantAndHash = (row: string) => `${row.split(' ')[0]} ${row.split(' ')[3]}`

/** Every page's rows as products see them, in one statement. */
async function pagesNow(): Promise<Map<string, string>> {
  const { rows } = await db.raw(
    `select source_id, string_agg(chunk_index || ' ' || md5(content) || ' ' || md5(parent_content), ',' order by chunk_index) as rows
     from knowledge group by source_id`,
  )
  return new Map((rows as { source_id: string; rows: string }[]).map((row) => [row.source_id, row.rows]))
}
function readPages() {
  const pages = new Map<string, Set<string>>()
  let polls = 0
  let over = false
  let first = new Map<string, string>()
  const reading = (async () => {
    while (!over) {
      const now = await pagesNow()
      if (polls === 0) first = now
      polls += 1
      for (const [page, set] of now) pages.set(page, (pages.get(page) ?? new Set()).add(set))
    }
  })()
  return {
    stop: async () => {
      over = true
      await reading
      return { pages, polls, first }
    },
  }
}
