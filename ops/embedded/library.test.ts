import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { provide } from './library.ts'

t.test('what is there is not fetched again', async (t) => {
  const libDir = t.testdir({ 'thing-1': { jar: 'x' } })
  const folder = await provide({ libDir }, 'thing-1', async () => {
    t.fail('fetched')
  })
  t.equal(folder, join(libDir, 'thing-1'))
})

t.test('a download that fails leaves nothing behind', async (t) => {
  const libDir = t.testdir()
  const half = async (folder: string) => {
    writeFileSync(join(folder, 'half'), '')
    throw new Error('cut off')
  }
  await t.rejects(provide({ libDir }, 'thing-1', half), { message: 'cut off' })
  t.same(readdirSync(libDir), [])
})

t.test('two downloads at once both succeed with one complete folder', async (t) => {
  const libDir = t.testdir()
  const fetched: string[] = []
  const fill = async (folder: string) => {
    fetched.push(folder)
    writeFileSync(join(folder, 'whole'), '')
  }
  const folders = await Promise.all([provide({ libDir }, 'thing-1', fill), provide({ libDir }, 'thing-1', fill)])
  t.same(new Set(folders), new Set([join(libDir, 'thing-1')]))
  t.equal(new Set(fetched).size, 2)
  t.same(readdirSync(libDir), ['thing-1'])
  t.ok(existsSync(join(libDir, 'thing-1', 'whole')))
})

t.test('leftovers of downloads that were killed are removed, those of living ones stay', async (t) => {
  // No process has this number: it is above the largest that Linux gives out.
  const dead = 'thing-1.partial-4194305-1'
  const living = `thing-1.partial-${process.ppid}-1`
  const libDir = t.testdir({ [dead]: { half: '' }, [living]: { half: '' } })
  await provide({ libDir }, 'thing-1', async () => {})
  t.same(readdirSync(libDir).sort(), ['thing-1', living])
})

t.test('it is said what is fetched, and where to', async (t) => {
  const libDir = t.testdir()
  const said: string[] = []
  await provide({ libDir, onDownload: (detail) => said.push(detail) }, 'thing-1', async () => {})
  t.same(said, [`fetching thing-1 into ${libDir}`])
})
