import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, readdir, rm, symlink } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { inRoot, services, text } from '../testing/compose.ts'

const dockerfile = text('ops/docker/Dockerfile')
const ignore = text('.dockerignore')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
const copied = [...dockerfile.matchAll(/^COPY (?!--)(.+) \S+$/gm)].flatMap(([, from]) => from!.split(' '))

void t.test(
  'the two stages of the image are one Node, pinned, of the major version that we develop with',
  async (t) => {
    const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image!)
    t.equal(bases.length, 2)
    t.equal(new Set(bases).size, 1, 'what is installed runs on what it was installed with')
    t.match(bases[0], /:\d+\.\d+\.\d+[\w.-]*$/)
    const [, major] = /^FROM node:(\d+)\./m.exec(dockerfile)!
    const { devDependencies } = JSON.parse(text('package.json')) as { devDependencies: { node: string } }
    t.match(devDependencies.node, `^${major}.`)
  },
)

void t.test('the image holds the code and its dependencies, not the tools, and does not run as root', async (t) => {
  t.match(dockerfile, /npm ci --ignore-scripts --omit=dev\b/)
  t.match(dockerfile, /^USER [1-9]\d*:[1-9]\d*$/m)
  t.ok(dockerfile.indexOf('\nUSER ') < dockerfile.indexOf('\nENTRYPOINT '))
  const [, entrypoint] = /^ENTRYPOINT \["node", "\/app\/(.+)"\]$/m.exec(dockerfile)!
  const { bin, version } = JSON.parse(text('package.json')) as { bin: { sluice: string }; version: string }
  t.equal(entrypoint, bin.sluice)
  t.match(dockerfile, `ARG VERSION=${version}\n`)
  t.equal(services['crawler']!.image, `sluice:${version}`)
  for (const folder of ['streams', 'schemas', 'connectors', 'migrations', 'ops']) t.ok(copied.includes(folder), folder)
})

void t.test('nothing is sent to the builder unless it is named', async (t) => {
  t.equal(ignore[0], '*')
  for (const from of copied) {
    t.ok(existsSync(inRoot(from)), from)
    t.ok(ignore.includes(`!${from}`), `.dockerignore lets ${from} through`)
  }
})

/** What `COPY` brings of these folders, less what .dockerignore holds back. */
async function image(root: string): Promise<void> {
  const heldBack = (path: string) =>
    path.endsWith('.test.ts') || path.split('/').includes('node_modules') || ignore.includes(path)
  for (const from of copied.filter((name) => !['package-lock.json', '.npmrc'].includes(name)))
    await cp(inRoot(from), join(root, from), {
      recursive: true,
      filter: (source) => !heldBack(relative(inRoot('.'), source)),
    })
}

/** Stands in for `npm ci --omit=dev`: a link to each package that the lockfile does not mark as one for development. */
async function install(root: string): Promise<void> {
  const { packages } = JSON.parse(text('package-lock.json')) as { packages: Record<string, { dev?: true }> }
  const top = Object.keys(packages).filter((path) => /^node_modules\/(@[^/]+\/)?[^/]+$/.test(path))
  for (const path of top.filter((path) => !packages[path]!.dev && existsSync(inRoot(path)))) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await symlink(inRoot(path), join(root, path))
  }
}

void t.test('what the image holds runs by itself', async (t) => {
  // Not below this project, whose own packages would be found there.
  const root = await mkdtemp(join(tmpdir(), 'sluice-image-'))
  t.teardown(() => rm(root, { recursive: true, force: true }))
  await image(root)
  await install(root)
  const sluice = (...args: string[]) =>
    promisify(execFile)(process.execPath, [join(root, 'ops/bin/sluice.mjs'), ...args], { cwd: root, env: {} })

  t.match((await sluice('--help')).stdout, 'Usage: sluice')
  const page = join(root, 'page.md')
  await cp(inRoot('README.md'), page)
  t.match((await sluice('extract', '--json', page)).stdout, '"blocks":[')
  t.match((await sluice('chunk', '--json', page)).stdout, '"content":')
  // Far enough to have loaded all that the command imports: what it lacks then is an address.
  for (const args of [
    ['run', 'crawler', 'processor', 'chunker'],
    ['migrate', 'status'],
    ['topics', 'apply'],
    ['doctor'],
  ])
    await t.rejects(sluice(...args), { code: 1, stderr: /nothing to talk to/ }, args.join(' '))
})

void t.test('nothing that the image holds imports what it does not hold, but the embedded parts', async (t) => {
  const root = t.testdir({})
  await image(root)
  const { dependencies } = JSON.parse(text('package.json')) as { dependencies: Record<string, string> }
  const missing: string[] = []
  for (const file of (await readdir(root, { recursive: true })).filter((name) => /\.(ts|mjs|js)$/.test(name))) {
    const code = await readFile(join(root, file), 'utf8')
    for (const [, from] of code.matchAll(/(?:^import (?!type)[^'"]*|^\} from |\bimport\()['"]([^'"]+)['"]/gm)) {
      if (from!.startsWith('node:')) continue
      const name = from!.split('/', from!.startsWith('@') ? 2 : 1).join('/')
      const there = from!.startsWith('.') ? existsSync(join(root, dirname(file), from!)) : name in dependencies
      if (!there) missing.push(`${file} → ${from}`)
    }
  }
  // Embedded parts are for development. The benchmarks too: `sluice bench` says that they are not there.
  t.strictSame(
    missing.filter((one) => !/^ops\/(embedded\/|eslint\.config|codegen|commands\/bench\.ts)/.test(one)),
    [],
  )
})
