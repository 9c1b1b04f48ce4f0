/**
 * Runbooks that can be followed: each block of ops/docs/runbooks.md that is marked `run`, command by command, as a person
 * would type it. A line is one command. `export` lines hold for the rest of the runbook; a comment of `# exit 1` is the exit
 * code that the text promises.
 */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'

export const markdown = readFileSync(join(import.meta.dirname, '..', 'docs', 'runbooks.md'), 'utf8')

export interface Step {
  readonly language: string
  readonly text: string
}
export interface Done {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** As GitHub makes anchors of headings. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-')

/** Steps by the anchor of their runbook. */
export const runbooks: ReadonlyMap<string, readonly Step[]> = new Map(
  markdown
    .split(/^## /m)
    .slice(1)
    .map((section) => [anchorOf(section.slice(0, section.indexOf('\n'))), stepsOf(section)]),
)

function stepsOf(section: string): Step[] {
  return [...section.matchAll(/^```(\w+) run\n(.*?)^```$/gms)].flatMap(([, language, block]) =>
    block!
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map((text) => ({ language: language!, text })),
  )
}

interface Reader {
  /** For the shell: where `sluice` is found, the services, and the words in capitals, as far as they are known by then. */
  readonly env: () => Record<string, string | undefined>
  readonly query: (sql: string) => Promise<unknown>
}

/** One runbook, to be followed in its own order. */
export function follow(t: Test, anchor: string, { env, query }: Reader) {
  const left = [...(runbooks.get(anchor) ?? [])]
  const exports: string[] = []

  async function take({ language, text }: Step): Promise<Done> {
    if (language === 'sql') return { code: 0, stdout: JSON.stringify(await query(text)), stderr: '' }
    if (text.startsWith('export ')) exports.push(text)
    const done = await shell([...exports, text].join('\n'), env())
    const promised = Number(/# exit (\d+)/.exec(text)?.[1] ?? 0)
    t.equal(done.code, promised, `${text}\n${done.stdout}${done.stderr}`)
    return done
  }
  return {
    /** Follows it up to the next command that begins so. @returns what that one said. */
    upTo: async (command: string): Promise<Done> => {
      for (;;) {
        const step = left.shift()
        if (!step) throw new Error(`${anchor}: no more "${command}" in it`)
        const done = await take(step)
        if (step.text.startsWith(command)) return done
      }
    },
    left: () => left.map(({ text }) => text),
  }
}

/** An unset word in capitals is an error, not an empty one. */
const shell = (script: string, env: ReturnType<Reader['env']>): Promise<Done> =>
  new Promise((resolve) => {
    execFile('bash', ['--norc', '-uo', 'pipefail', '-c', script], { env }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    )
  })
