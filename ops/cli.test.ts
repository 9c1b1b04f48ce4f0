/** The real command in a process of its own; nothing here needs Kafka. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'

// Many processes at once: a busy machine takes its time to start them.
t.setTimeout(180_000)
const cli = join(import.meta.dirname, 'bin', 'sluice.mjs')
const files = t.testdir({
  'a.html': '<html lang="en"><title>Kettles</title><main><h1>Kettles</h1><p>How to descale one.</p></main></html>',
  'a.md': '# Grinders\n\nClean the burrs.\n',
  'empty.txt': '',
  'bytes.html': Buffer.from([0, 255, 254, 1, 2, 3, 0, 200]),
  'robots.txt': 'User-agent: *\nDisallow: /private\n',
  folder: {},
})
/** No sluice is up here. */
const nowhere = join(files, 'folder')
/** Nobody listens on port 1. */
const GONE = '127.0.0.1:1'
const gone = {
  KAFKA_BROKERS: GONE,
  SCHEMA_REGISTRY_URL: `http://${GONE}`,
  DATABASE_URL: `postgres://u:secret-word@${GONE}/x`,
  OPENAI_BASE_URL: `http://${GONE}/v1`,
  OPENAI_API_KEY: 'secret-word',
}

interface Run {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

async function sluice(args: readonly string[], env: Record<string, string> = {}): Promise<Run> {
  // A clean environment: a developer's own settings must not decide what is tested.
  const child = spawn(process.execPath, [cli, ...args], {
    env: { SLUICE_DATA_DIR: nowhere, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ])
  return { code, stdout, stderr }
}

const rows = ({ stdout }: Run) =>
  stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>)
const STACK = /^\s+at .+:\d+:\d+\)?$/m

t.test('help goes to stdout, of the program and of a command, whichever way it is asked for', async (t) => {
  const [all, ...ofPause] = await Promise.all([
    sluice(['--help']),
    sluice(['pause', '--help']),
    sluice(['help', 'pause']),
    sluice(['pause', '-h']),
  ])
  t.match(all, { code: 0, stderr: '', stdout: /^Usage: sluice/ })
  for (const name of ['demo', 'crawl', 'doctor', 'lag', 'replay']) t.match(all.stdout, new RegExp(`^  ${name} `, 'm'))
  for (const help of ofPause) t.match(help, { code: 0, stderr: '', stdout: /Examples:\n {2}\$ sluice pause/ })
  t.match(await sluice(['help', 'tenant', 'limit']), { code: 0, stdout: /^Usage: sluice tenant limit/ })
  t.match(await sluice(['help', 'paus']), { code: 2, stdout: /^$/, stderr: /Did you mean pause\?/ })
})

t.test('the completion script goes to stdout', async (t) => {
  t.match(await sluice(['completion', 'bash']), { code: 0, stderr: '', stdout: /complete .*_sluice sluice\n$/ })
})

t.test('the version is the package’s', async (t) => {
  t.match(await sluice(['--version']), { code: 0, stdout: /^\d+\.\d+\.\d+\n$/ })
})

t.test('wrong use is told on stderr and ends with 2', async (t) => {
  const wrong: [string[], RegExp][] = [
    [[], /Usage: sluice/],
    [['serch'], /Did you mean search/],
    [['search', 'question'], /--tenant/],
    [['search', '--tenant', 'a'], /question/],
    [['search', '--tenant', 'a', 'q', '-k', '0'], /whole number from 1/],
    [['crawl', '--tenant', 'a', 'https://e.com/', '--max-pages', '1e3'], /whole number from 1/],
    [['crawl', '--tenant', 'a', 'example.com'], /not an http\(s\) URL.*example\.com\n.*https:\/\/example\.com\//s],
    [['crawl', '--tenant', ' ', 'https://e.com/'], /tenant must not be empty/],
    [['run'], /STAGE/],
    [['run', 'chunkr'], /crawler, processor, chunker/],
    [['migrate'], /Usage: sluice migrate/],
    [['migrate', 'sideways'], /unknown command/],
    [['up', 'extra'], /too many arguments/],
  ]
  const runs = await Promise.all(wrong.map(([args]) => sluice(args)))
  for (const [i, [args, message]] of wrong.entries()) {
    t.match(runs[i], { code: 2, stdout: /^$/, stderr: message }, `sluice ${args.join(' ')}`)
    t.notMatch(runs[i]!.stderr, STACK)
  }
})

t.test('all problems of the environment are named together, and it ends with 2', async (t) => {
  const run = await sluice(['doctor'], { DATABASE_URL: 'x', LOG_LEVEL: 'loud', OPENAI_API_KEY_FILE: '/no/such/file' })
  t.match(run, { code: 2, stdout: /^$/, stderr: /OPENAI_API_KEY_FILE[^]*DATABASE_URL[^]*LOG_LEVEL/ })
})

t.test('a benchmark that prints text refuses --json before it begins', async (t) => {
  t.match(await sluice(['bench', 'idle', '--json']), { code: 2, stdout: /^$/, stderr: /text only[^]*--json/ })
})

t.test('without services a command says how to get some', async (t) => {
  const commands = [
    ['search', '--tenant', 'a', 'q'],
    ['migrate', 'status'],
    ['topics', 'apply'],
    ['run', 'chunker'],
  ]
  for (const run of await Promise.all(commands.map((args) => sluice(args)))) {
    t.match(run, { code: 1, stdout: /^$/, stderr: /sluice up/ })
    t.notMatch(run.stderr, STACK)
  }
})

t.test('a service that refuses is told at once, with the variable to look at, without its secrets', async (t) => {
  const cases: [string[], string][] = [
    [['crawl', '--tenant', 'a', 'https://example.com/', '--json'], 'KAFKA_BROKERS'],
    [['migrate', 'status', '--json'], 'DATABASE_URL'],
    [['search', '--tenant', 'a', 'q', '--json'], 'OPENAI_BASE_URL'],
  ]
  const runs = await Promise.all(cases.map(([args]) => sluice(args, gone)))
  for (const [i, [args, variable]] of cases.entries()) {
    t.match(runs[i], { code: 1, stdout: /^$/, stderr: variable }, `sluice ${args.join(' ')}`)
    t.notMatch(runs[i]!.stderr, 'secret-word')
  }
  t.match(runs[0]!.stderr, 'no Kafka broker answers', 'a quick look, instead of the 20 s that kafkajs tries')
})

t.test('the doctor looks at everything although all of it is away', async (t) => {
  const run = await sluice(['doctor', '--json'], gone)
  t.equal(run.code, 1)
  const states = Object.fromEntries(rows(run).map(({ check, state }) => [check, state]))
  t.match(states, { kafka: 'bad', 'schema registry': 'bad', postgres: 'bad', embeddings: 'bad', migrations: 'warn' })
})

t.test('a page that may not be crawled is refused before anything starts, with what to set', async (t) => {
  const run = await sluice(['demo', 'http://127.0.0.1:8080/'])
  t.match(run, { code: 1, stdout: /^$/, stderr: /CRAWL_ALLOW_HOSTS=127\.0\.0\.1:8080/ })
})

const at = (name: string) => join(files, name)

t.test('extract prints one object a file, also for odd ones', async (t) => {
  const run = await sluice(['extract', '--json', at('a.html'), at('empty.txt'), at('bytes.html')])
  t.match(run, { code: 0, stderr: '' })
  t.match(rows(run), [
    { file: at('a.html'), title: 'Kettles', language: 'en', text: /descale/ },
    { file: at('empty.txt'), text: '', blocks: [] },
    { file: at('bytes.html') },
  ])
})

t.test('chunk prints where a chunk of a text file stands', async (t) => {
  const run = await sluice(['--json', 'chunk', at('a.md'), at('a.html')])
  t.equal(run.code, 0)
  const [markdown, html] = rows(run)
  t.match(markdown, { index: 0, headingPath: ['Grinders'], start: 0, content: /burrs/ })
  t.match(html, { index: 0, start: null, end: null, content: /descale/ })
})

t.test('a file that cannot be read is named, the others are done, and it ends with 1', async (t) => {
  for (const command of ['extract', 'chunk']) {
    const run = await sluice([command, '--json', at('missing'), at('folder'), at('a.md')])
    t.match(run, { code: 1, stderr: /missing: no such file\n[^]*folder: is a directory/ })
    t.match(rows(run), [{ file: at('a.md') }])
    t.notMatch(run.stderr, STACK)
  }
})

t.test('robots tells what a file allows', async (t) => {
  const urls = ['https://e.com/', 'https://e.com/private/x']
  const run = await sluice(['robots', '--json', '--agent', 'sluice/1.0 (+x)', at('robots.txt'), ...urls])
  t.same(rows(run), [
    { url: urls[0], allowed: true },
    { url: urls[1], allowed: false },
  ])
  t.match(await sluice(['robots', '--agent', 'a', at('missing'), 'https://e.com/']), {
    code: 1,
    stderr: /no such file/,
  })
})

t.test('a reader that has seen enough is no error', async (t) => {
  const child = spawn(process.execPath, [cli, 'chunk', '--json', at('a.md'), at('a.html'), at('a.md')], {
    env: { SLUICE_DATA_DIR: nowhere },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.stdout.destroy()
  const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'close')])
  t.equal(stderr, '')
  t.equal(code, 0)
})
