/** What a person wants to read at the end of the demo. */
import { formatReasons } from '../crawls.ts'
import { stageLag, totalLag } from '../lag/offsets.ts'
import type { JobProgress } from '../../connectors/postgres/frontier.ts'
import type { Services } from '../services.ts'
import { rate } from '../tally.ts'
import type { Tally } from '../tally.ts'
import { paint, printRows } from './output.ts'
import { findPassages } from './search.ts'

export interface Crawl {
  readonly tenant: string
  readonly job: JobProgress
  /** Why pages are not among the fetched, by count. */
  readonly reasons: Readonly<Record<string, number>>
}

interface Question {
  readonly tenant: string
  readonly question: string
}

interface Summary {
  readonly services: Services
  readonly tally: Tally
  readonly crawls: readonly Crawl[]
  readonly questions: readonly Question[]
  readonly startedMs: number
  readonly json: boolean
}

export async function printSummary(summary: Summary): Promise<void> {
  const figures = await collect(summary)
  if (summary.json) return printRows([figures], summary, () => '')
  const lines = [
    '',
    heading('Pages'),
    ...summary.crawls.map(crawlLine),
    '',
    heading('Stages'),
    ...figures.stages.map(
      ({ stage, pages, seconds, pagesPerSecond }) =>
        `  ${stage.padEnd(10)} ${String(pages).padStart(4)} pages in ${seconds.toFixed(1).padStart(5)} s = ${pagesPerSecond.toFixed(1)} pages/s`,
    ),
    `  in all     ${figures.seconds.toFixed(1)} s with start-up`,
    '',
    heading('Knowledge'),
    `  ${figures.chunks} chunks in Postgres, every one once (unique index); ${figures.ignored} inserts ignored`,
    `  ${figures.embeddingRequests} embedding requests for ${figures.embeddingInputs} texts, ${figures.embeddingTokens} tokens`,
    `  lag: processor ${figures.lag.processor}, chunker ${figures.lag.chunker}; dead letters: ${figures.deadLetters}${figures.failures}`,
    '',
    ...(figures.answers.length > 0 ? [heading('Questions'), ...figures.answers.flatMap(answerLines), ''] : []),
    heading('Where to look next'),
    '  npm run demo -- https://your.site/      the same with your own pages',
    '  npx sluice up                           keep it running; then crawl and search from another terminal',
    '  docker compose up                       Kafka UI, a registry and Postgres with pgvector beside the stages',
    '  README.md                               how to emit events from your own services',
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}

const heading = (text: string) => paint('bold', text, process.stdout)

function crawlLine({ tenant, job, reasons }: Crawl): string {
  const { fetched, gone, skipped, failed } = job
  return `  ${tenant.padEnd(12)} ${String(fetched).padStart(4)} fetched, ${gone} gone, ${skipped} skipped, ${failed} failed${formatReasons(reasons)}`
}

interface Answer {
  readonly tenant: string
  readonly question: string
  readonly found: { url: string; title: string; passage: string } | null
}

function answerLines({ tenant, question, found }: Answer): string[] {
  if (!found) return [`  ${tenant}: ${question}`, '    nothing found']
  return [
    `  ${tenant}: ${question}`,
    `    → ${found.title}  ${paint('cyan', found.url, process.stdout)}`,
    `      ${found.passage}`,
  ]
}

async function collect({ services, tally, crawls, questions, startedMs }: Summary) {
  const { db, config } = services
  const tenants = crawls.map(({ tenant }) => tenant)
  const [counted] = await db('tenant_knowledge').whereIn('tenant_id', tenants).count({ chunks: '*' })
  const admin = services.kafka('summary').admin()
  await admin.connect()
  const lag = {
    processor: Number(totalLag(await stageLag(admin, 'processor', config.topicPrefix))),
    chunker: Number(totalLag(await stageLag(admin, 'chunker', config.topicPrefix))),
  }
  await admin.disconnect()
  const stages = ['crawler', 'processor', 'chunker'].map((stage) => {
    const { count, firstMs, lastMs } = tally.stage(stage)
    return { stage, pages: count, seconds: (lastMs - firstMs) / 1000, pagesPerSecond: rate(tally.stage(stage)) }
  })
  const usage = services.embeddingUsage
  const answers: Answer[] = []
  for (const { tenant, question } of questions) answers.push(await answer(services, tenant, question))
  return {
    seconds: (Date.now() - startedMs) / 1000,
    crawls: crawls.map(({ tenant, job, reasons }) => ({ tenant, ...job, reasons })),
    stages,
    chunks: Number(counted?.['chunks'] ?? 0),
    ignored: tally.rows.ignored,
    embeddingRequests: usage.requests,
    embeddingInputs: usage.inputs,
    embeddingTokens: usage.tokens,
    lag,
    deadLetters: ['crawler', 'processor', 'chunker'].reduce(
      (sum, stage) => sum + (tally.stage(stage).outcomes['dead-letter'] ?? 0),
      0,
    ),
    failures: failuresOf(tally),
    answers,
  }
}

function failuresOf(tally: Tally): string {
  const codes = ['crawler', 'processor', 'chunker'].flatMap((stage) => Object.entries(tally.stage(stage).codes))
  return codes.length === 0 ? '' : ` (${codes.map(([code, count]) => `${code}: ${count}`).join(', ')})`
}

async function answer(services: Services, tenant: string, question: string): Promise<Answer> {
  const [best] = await findPassages(services, question, { tenant, k: 1 })
  if (!best) return { tenant, question, found: null }
  const passage = best.content.replace(/\s+/g, ' ').trim()
  return {
    tenant,
    question,
    found: { url: best.url, title: best.title, passage: passage.length > 160 ? `${passage.slice(0, 160)}…` : passage },
  }
}
