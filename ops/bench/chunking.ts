/**
 * Chunk quality and speed, against a plain recursive splitter in the same run:
 * `node ops/bench/chunking.ts FOLDER`. The folder holds `questions.jsonl` (`{corpus, question, references: [{content,
 * start_index, end_index}]}`, offsets in UTF-16 units) and one `CORPUS.md` for each corpus named there.
 *
 * PrecisionΩ: mean over questions of |excerpts ∩ chunks that touch one| ÷ |chunks that touch one|, in characters.
 * It needs no embeddings, and it rewards small chunks, so the mean size stands beside it.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { sourceLayout } from '../../streams/3-chunker/source-spans.ts'
import { chunkLayout } from '../../streams/3-chunker/chunk.ts'
import { countTokens } from '../../streams/3-chunker/tokens.ts'
import { defaults } from '../config.ts'
import { recursiveSplit } from './recursive-splitter.ts'

export interface Range {
  readonly start: number
  readonly end: number
}
export interface Question {
  readonly corpus: string
  readonly question: string
  readonly excerpts: readonly Range[]
}
export type Splitter = (text: string) => Range[]

export function readQuestions(folder: string): Question[] {
  const lines = readFileSync(join(folder, 'questions.jsonl'), 'utf8').trim().split('\n')
  return lines.map((line) => {
    const { corpus, question, references } = JSON.parse(line) as {
      corpus: string
      question: string
      references: { start_index: number; end_index: number }[]
    }
    const excerpts = references.map((r) => ({
      start: r.start_index,
      end: r.end_index,
    }))
    return { corpus, question, excerpts }
  })
}

export function readCorpora(folder: string, questions: readonly Question[]): Map<string, string> {
  const names = new Set(questions.map(({ corpus }) => corpus))
  return new Map([...names].map((name) => [name, readFileSync(join(folder, `${name}.md`), 'utf8')]))
}

/** Our children as ranges. `childTokens` as in the configuration. */
export const sluiceSplit =
  (childTokens: number): Splitter =>
  (text) =>
    chunkLayout(sourceLayout(text, 'markdown'), { ...defaults.chunker, childTokens }).filter(
      ({ parentIndex }) => parentIndex !== null,
    )

export function precisionOmega(chunks: readonly Range[], excerpts: readonly Range[]): number {
  const touching = chunks.filter((chunk) => excerpts.some((excerpt) => overlap(chunk, excerpt) > 0))
  const covered = unite(excerpts).reduce(
    (sum, excerpt) => sum + unite(touching).reduce((inside, chunk) => inside + overlap(chunk, excerpt), 0),
    0,
  )
  return touching.length === 0 ? 0 : covered / total(unite(touching))
}

export const overlap = (a: Range, b: Range): number => Math.max(0, Math.min(a.end, b.end) - Math.max(a.start, b.start))
const total = (ranges: readonly Range[]) => ranges.reduce((sum, { start, end }) => sum + end - start, 0)

function unite(ranges: readonly Range[]): Range[] {
  const united: Range[] = []
  for (const range of [...ranges].sort((a, b) => a.start - b.start)) {
    const last = united.at(-1)
    if (last && range.start <= last.end) united[united.length - 1] = { ...last, end: Math.max(last.end, range.end) }
    else united.push(range)
  }
  return united
}

export interface Result {
  readonly name: string
  readonly precisionOmega: number
  readonly chunks: number
  readonly meanTokens: number
  readonly maxTokens: number
  readonly megabytesPerSecond: number
}

export function measure(
  name: string,
  split: Splitter,
  corpora: ReadonlyMap<string, string>,
  questions: readonly Question[],
): Result {
  const chunks = new Map([...corpora].map(([corpus, text]) => [corpus, split(text)]))
  const scores = questions.map(({ corpus, excerpts }) => precisionOmega(chunks.get(corpus) ?? [], excerpts))
  const sizes = [...corpora].flatMap(([corpus, text]) =>
    (chunks.get(corpus) ?? []).map(({ start, end }) => countTokens(text.slice(start, end))),
  )
  return {
    name,
    precisionOmega: scores.reduce((a, b) => a + b, 0) / scores.length,
    chunks: sizes.length,
    meanTokens: sizes.reduce((a, b) => a + b, 0) / sizes.length,
    maxTokens: Math.max(...sizes),
    megabytesPerSecond: speed(split, [...corpora.values()]),
  }
}

/** Median of five runs over all corpora, warm, one core. */
function speed(split: Splitter, texts: readonly string[]): number {
  const megabytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / 1e6
  const runs = Array.from({ length: 5 }, () => {
    const began = performance.now()
    for (const text of texts) split(text)
    return megabytes / ((performance.now() - began) / 1000)
  })
  return runs.sort((a, b) => a - b)[2] ?? 0
}

if (import.meta.main) {
  const folder = process.argv[2]
  if (!folder) {
    console.error('usage: node ops/bench/chunking.ts FOLDER')
    process.exit(2)
  }
  const questions = readQuestions(folder)
  const corpora = readCorpora(folder, questions)
  const baseline = measure('recursive splitter, 200 tokens', recursiveSplit(200), corpora, questions)
  const splitters: [string, Splitter][] = [
    ...[120, 160, 180, 240].map((n): [string, Splitter] => [`recursive splitter, ${n} tokens`, recursiveSplit(n)]),
    ...[100, 130, 150, 165, 180, 200].map((n): [string, Splitter] => [`sluice, ${n} tokens`, sluiceSplit(n)]),
  ]
  const results = splitters.map(([name, split]) => measure(name, split, corpora, questions))
  for (const result of [baseline, ...results])
    console.log(
      JSON.stringify({ ...result, ratioToBaseline: +(result.precisionOmega / baseline.precisionOmega).toFixed(3) }),
    )
}
