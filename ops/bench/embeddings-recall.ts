/**
 * Sanity of the offline vectors: rank of the first chunk that touches an excerpt, over the questions of a folder as
 * `chunking.ts` reads it: `node ops/bench/embeddings-recall.ts FOLDER`. Chunks of all corpora are searched together.
 */
import { hashedVector } from '../embedded/embeddings-hashing.ts'
import { overlap, readCorpora, readQuestions, sluiceSplit } from './chunking.ts'

const folder = process.argv[2]
if (!folder) {
  console.error('usage: node ops/bench/embeddings-recall.ts FOLDER')
  process.exit(2)
}
const DIMENSIONS = Number(process.argv[3] ?? 512)
const questions = readQuestions(folder)
const corpora = readCorpora(folder, questions)
const split = sluiceSplit(180)
const chunks = [...corpora].flatMap(([corpus, text]) =>
  split(text).map((range) => ({ corpus, range, text: text.slice(range.start, range.end) })),
)
const began = performance.now()
const vectors = chunks.map(({ text }) => hashedVector(text, DIMENSIONS))
const perSecond = chunks.length / ((performance.now() - began) / 1000)

const ranks = questions.map(({ corpus, question, excerpts }) => {
  const asked = hashedVector(question, DIMENSIONS)
  const scores = vectors.map((vector) => vector.reduce((sum, value, i) => sum + value * (asked[i] ?? 0), 0))
  const order = chunks.map((_, i) => i).sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0))
  return order.findIndex((i) => {
    const chunk = chunks[i]
    return chunk?.corpus === corpus && excerpts.some((excerpt) => overlap(chunk.range, excerpt) > 0)
  })
})
const hits = (k: number) => ranks.filter((rank) => rank >= 0 && rank < k).length / ranks.length
const mrr = ranks.reduce((sum, rank) => sum + 1 / (rank + 1), 0) / ranks.length
console.log(
  JSON.stringify({
    questions: ranks.length,
    chunks: chunks.length,
    dimensions: DIMENSIONS,
    hits1: hits(1),
    hits5: hits(5),
    hits10: hits(10),
    mrr,
    perSecond,
  }),
)
