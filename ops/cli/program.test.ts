/** The program as declared, in this process: nothing runs but the parsing. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import t from 'tap'
import { UserError } from '../../streams/errors.ts'
import { stageNames } from '../../streams/topology.ts'
import { completionScript } from '../commands/completion.ts'
import { examplesOf } from './define.ts'
import { allCommands, commandGroups, createProgram } from './program.ts'
import { pathOf } from './wrong-use.ts'

/** Those that do something by themselves, not only through commands of their own. */
const acts = (command: Command) => command.commands.length === 0 || command.registeredArguments.length > 0

/** The command that a line would run; nothing is run. @throws what the line is refused with */
async function parse(words: readonly string[]): Promise<string> {
  const program = createProgram()
  let ran = ''
  for (const command of allCommands(program).filter((one) => one !== program && acts(one)))
    command.action(() => void (ran = pathOf(command)))
  for (const command of allCommands(program)) command.configureOutput({ writeOut: () => {}, writeErr: () => {} })
  await program.parseAsync(words, { from: 'user' })
  return ran
}

const refusal = (words: readonly string[]) => parse(words).catch((error: unknown) => error)

/** What a shell makes of the lines: the words after each `sluice`. Pipes, quotes and variables are the shell's affair. */
function shellWords(lines: readonly string[]): string[][] {
  const home = t.testdir({ '.config': { fish: { completions: {} } } })
  const log = join(home, 'log')
  const stubs = `sluice() { printf '%s\\0' "$@" >> ${log}; printf '\\n' >> ${log}; }; jq() { cat > /dev/null; }; source() { cat "$1" > /dev/null; }`
  return lines.map((line) => {
    writeFileSync(log, '')
    const run = spawnSync('bash', ['-c', `${stubs}\n${line}`], {
      env: { ...process.env, HOME: home },
      encoding: 'utf8',
    })
    if (run.status !== 0 || run.stderr !== '') throw new Error(`${line}: ${run.stderr}`)
    return readFileSync(log, 'utf8')
      .replace(/\0?\n$/, '')
      .split('\0')
  })
}

t.test('every command says what it does, what it takes, and shows examples', async (t) => {
  for (const command of allCommands(createProgram()).slice(1)) {
    const name = pathOf(command)
    t.match(command.description(), /^[a-z].{7,}/, `${name} has a description`)
    t.ok(examplesOf(command).length > 0, `${name} has an example`)
    for (const argument of command.registeredArguments) t.match(argument.description, /./, `${name} ${argument.name()}`)
    for (const option of command.options) t.ok(option.description, `${name} ${option.flags}`)
    t.match(command.helpInformation() + '', /^Usage: sluice /, name)
  }
})

t.test('every example is a line that a shell and the program understand, for the command that shows it', async (t) => {
  for (const command of allCommands(createProgram()).slice(1)) {
    const lines = examplesOf(command)
    for (const [index, words] of shellWords(lines).entries())
      t.match(await parse(words), new RegExp(`^${pathOf(command)}( |$)`), lines[index] ?? '')
  }
})

t.test('every command of the program is under a heading', async (t) => {
  const program = createProgram()
  const grouped = Object.values(commandGroups).flat()
  t.same(
    program.commands.map((one) => one.name()).filter((name) => !grouped.includes(name)),
    [],
  )
  const headings = [...program.helpInformation().matchAll(/^(\S.*):$/gm)].map(([, heading]) => `${heading}:`)
  t.same(headings, ['Options:', ...Object.keys(commandGroups)])
})

t.test('an option that is not there, and a word too many, are wrong use of every command', async (t) => {
  for (const command of allCommands(createProgram()).slice(1)) {
    const path = pathOf(command).split(' ').slice(1)
    const variadic = command.registeredArguments.some((argument) => argument.variadic)
    const wrong = [[...path, '--no-such-option'], ...(variadic || !acts(command) ? [] : [[...path, ...'123456789']])]
    // Benchmarks read their options by themselves.
    for (const words of path[0] === 'bench' ? [] : wrong) {
      const error = await refusal(words)
      t.ok(error instanceof UserError, `sluice ${words.join(' ')}`)
      t.match(error, { exitCode: 2, hint: /sluice .*--help/ })
    }
  }
})

t.test('a word that is nearly one of those there are is answered with that one', async (t) => {
  const meant: [string, RegExp][] = [
    ['serch', /Did you mean search\?/],
    ['tenant limt acme', /Did you mean .*limit/],
    ['run chunkr', /Did you mean chunker\? There are crawler, processor, chunker/],
    ['pause procesor', /Did you mean processor\?/],
    ['resume Chunker', /Did you mean chunker\?/],
    ['replay chunkre --from beginning', /Did you mean chunker\?/],
    ['dlq show pages.crawld 1:2', /Did you mean pages\.crawled\?/],
    ['limit embedings --off', /Did you mean embeddings\?/],
    ['tenant limit acme databse', /Did you mean database\?/],
    ['bench smothness', /Did you mean smoothness\?/],
    ['crawl --tennant acme https://e.com/', /Did you mean --tenant\?/],
    ['crawl --tenant acme --max-pags 3 https://e.com/', /Did you mean --max-pages\?/],
    ['completion bsh', /Did you mean bash\?/],
    ['doctor --jsno', /Did you mean --json\?/],
  ]
  for (const [line, hint] of meant) t.match(await refusal(line.split(' ')), { hint, exitCode: 2 }, `sluice ${line}`)
  t.match(await refusal(['run', 'xyzzy']), { hint: /^There are crawler/ }, 'and what is near nothing with the list')
})

// --- completion

const script = completionScript(createProgram(), 'bash')
function complete(...words: string[]): string[] {
  const line = `${script}\n${script}\nCOMP_WORDS=(sluice "$@"); COMP_CWORD=$#; _sluice; printf '%s\\n' "\${COMPREPLY[@]}"`
  const run = spawnSync('bash', ['-c', line, 'bash', ...words], { encoding: 'utf8' })
  t.equal(run.stderr, '')
  return run.stdout.split('\n').filter(Boolean)
}

t.test('bash completes commands, their own commands, stages, topics and options', async (t) => {
  t.same(complete('mig'), ['migrate'])
  t.same(
    complete(''),
    createProgram().commands.map((one) => one.name()),
  )
  t.same(complete('migrate', ''), ['up', 'down', 'status'])
  t.same(complete('run', ''), stageNames)
  t.same(complete('run', 'chunker', 'p'), ['processor'])
  t.same(complete('pause', 'ch'), ['chunker'])
  t.same(complete('tenant', 'limit', 'acme', 'data'), ['database'])
  t.ok(complete('dlq', 'redrive', 'pages.').includes('pages.crawled'))
  t.same(complete('crawl', '--te'), ['--tenant'])
  t.same(complete('--json', 'pau'), ['pause'])
  t.same(complete('help', 'rob'), ['robots'])
  t.same(complete('pause', '--tenant', ''), [], 'a tenant is anybody’s word')
  t.same(complete('crawl', '--tenant', 'up', '--wa'), ['--wait'], 'a value that is called as a command is none')
})

for (const [shell, check] of Object.entries({ zsh: ['-n'], fish: ['--no-execute'] }))
  t.test(`${shell} takes its script`, async (t) => {
    if (spawnSync(shell, ['--version']).error) return t.comment(`no ${shell} here`)
    const file = join(t.testdir(), 'script')
    mkdirSync(join(file, '..'), { recursive: true })
    writeFileSync(file, completionScript(createProgram(), shell as 'zsh' | 'fish'))
    t.match(spawnSync(shell, [...check, file], { encoding: 'utf8' }), { status: 0, stderr: '' })
  })
