import { classifyPostgres } from '../../connectors/postgres/errors.ts'
import { searchKnowledge } from '../../connectors/postgres/search.ts'
import type { SearchHit } from '../../connectors/postgres/search.ts'
import type { Services } from '../services.ts'
import { note, paint, printRows } from './output.ts'
import type { Output } from './output.ts'
import { withServices } from './with-services.ts'

interface Options extends Output {
  readonly tenant: string
  readonly k: number
}

/** `sluice search`. */
export async function search(question: string, options: Options): Promise<void> {
  const hits = await withServices(['postgres', 'embeddings'], (services) => findPassages(services, question, options))
  if (hits.length === 0) note(`nothing found for tenant ${options.tenant}`)
  printRows(hits, options, formatHit)
}

export async function findPassages(
  { db, embeddings, config }: Services,
  question: string,
  { tenant, k }: { tenant: string; k: number },
) {
  const vector = await embeddings.embedQuery(tenant, question)
  const { model } = config.embeddings
  return searchKnowledge(db, { tenantId: tenant, question, vector, model, k }).catch((error: unknown) => {
    throw classifyPostgres(error)
  })
}

/** One passage for people: where it is, and its beginning. */
export function formatHit(hit: SearchHit): string {
  const where = [hit.title, ...hit.headingPath].filter(Boolean).join(' › ')
  const text = hit.content.replace(/\s+/g, ' ').trim()
  return [
    `${hit.rank}. ${paint('bold', where || hit.url, process.stdout)}  ${paint('dim', hit.score.toFixed(2), process.stdout)}`,
    `   ${paint('cyan', hit.url, process.stdout)}`,
    `   ${text.length > 240 ? `${text.slice(0, 240)}…` : text}`,
  ].join('\n')
}
