/**
 * Search quality, side by side: vectors alone, full text alone, plain reciprocal rank fusion, and ours, over the same
 * candidates of the same data: `node ops/bench/search.ts TENANT QUESTIONS.json`. Connects as `sluice search` does: to the
 * services of the environment, else to those of a running `sluice up` (SLUICE_DATA_DIR names its folder).
 *
 * QUESTIONS.json: `[{ "question", "pages": ["indexes-partial.html", …], "split"?: "held" }]`. A page answers when its URL
 * ends in one of `pages`; figures are given for each split and for all.
 */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { fuse } from '../../connectors/postgres/fusion.ts'
import type { Candidate } from '../../connectors/postgres/fusion.ts'
import { asReader, findCandidates } from '../../connectors/postgres/search.ts'
import { withServices } from '../commands/with-services.ts'
import type { Services } from '../services.ts'

const questionsFile = z.array(
  z.object({ question: z.string(), pages: z.array(z.string()).min(1), split: z.string().default('all') }),
)
type Asked = z.infer<typeof questionsFile>[number]

/** Ids of children, best first, one a parent. */
type Ranking = (candidates: readonly Candidate[]) => string[]

const DEPTH = 100
/** The constant of the published method. */
const RRF_K = 60

const by =
  (score: (candidate: Candidate) => number): Ranking =>
  (candidates) => {
    const ordered = candidates.filter((one) => score(one) > 0).sort((a, b) => score(b) - score(a))
    const parents = new Set<string>()
    return ordered.filter(({ parentKey }) => !parents.has(parentKey) && parents.add(parentKey)).map(({ id }) => id)
  }

const reciprocalRanks: Ranking = (candidates) => {
  const scores = new Map<string, number>()
  const halves = [(one: Candidate) => one.similarity ?? -1, (one: Candidate) => one.text]
  for (const score of halves) {
    const ordered = candidates.filter((one) => score(one) > 0).sort((a, b) => score(b) - score(a))
    for (const [index, { id }] of ordered.slice(0, DEPTH).entries())
      scores.set(id, (scores.get(id) ?? 0) + 1 / (RRF_K + index + 1))
  }
  return by(({ id }) => scores.get(id) ?? 0)(candidates)
}

const rankings: Readonly<Record<string, Ranking>> = {
  'vectors alone': by(({ similarity }) => similarity ?? -1),
  'full text alone': by(({ text }) => text),
  'reciprocal rank fusion': reciprocalRanks,
  ours: (candidates) => fuse(candidates, DEPTH).map(({ id }) => id),
}

interface Answered extends Asked {
  readonly candidates: readonly Candidate[]
  readonly urls: ReadonlyMap<string, string>
  readonly ms: number
}

async function answer({ db, embeddings, config }: Services, tenantId: string, asked: Asked): Promise<Answered> {
  const vector = await embeddings.embedQuery(tenantId, asked.question)
  const began = performance.now()
  const candidates = await asReader(db, tenantId, (trx) =>
    findCandidates(trx, { tenantId, question: asked.question, vector, model: config.embeddings.model }),
  )
  const ms = performance.now() - began
  const rows = await asReader(db, tenantId, (trx) =>
    trx('knowledge')
      .whereIn(
        'id',
        candidates.map(({ id }) => id),
      )
      .select('id', 'url'),
  )
  return { ...asked, candidates, ms, urls: new Map(rows.map(({ id, url }: { id: string; url: string }) => [id, url])) }
}

/** Place of the first passage of a page that answers, from 0; Infinity when there is none. */
function placeOf({ candidates, urls, pages }: Answered, ranking: Ranking): number {
  const place = ranking(candidates).findIndex((id) => pages.some((page) => urls.get(id)?.endsWith(`/${page}`)))
  return place < 0 ? Infinity : place
}

function figures(answered: readonly Answered[], ranking: Ranking) {
  const places = answered.map((one) => placeOf(one, ranking))
  const share = (count: number) => (count / places.length).toFixed(2)
  return {
    'hits@1': share(places.filter((place) => place < 1).length),
    'hits@5': share(places.filter((place) => place < 5).length),
    MRR: (places.reduce((sum, place) => sum + 1 / (place + 1), 0) / places.length).toFixed(3),
  }
}

const [tenant, file] = process.argv.slice(2)
if (!tenant || !file) {
  console.error('usage: node ops/bench/search.ts TENANT QUESTIONS.json')
  process.exit(2)
}
const questions = questionsFile.parse(JSON.parse(readFileSync(file, 'utf8')))
const answered = await withServices(['postgres', 'embeddings'], async (services) => {
  const answers: Answered[] = []
  for (const question of questions) answers.push(await answer(services, tenant, question))
  return answers
})
for (const split of new Set([...questions.map((one) => one.split), 'all'])) {
  const chosen = split === 'all' ? answered : answered.filter((one) => one.split === split)
  console.log(`\n${split}: ${chosen.length} questions`)
  console.table(Object.fromEntries(Object.entries(rankings).map(([name, ranking]) => [name, figures(chosen, ranking)])))
}
const times = answered.map(({ ms }) => ms).sort((a, b) => a - b)
console.log(
  `a question took ${times[times.length >> 1]!.toFixed(0)} ms (median), ${times.at(-1)!.toFixed(0)} ms at most`,
)
