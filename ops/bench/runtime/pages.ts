/** Records of `pages.processed` as the processor makes them, of a given size: distinct pages, the same at every run. */
import { seeded } from '../../../streams/throttle/seeded.ts'
import type { PageProcessed } from '../../../schemas/generated/types.ts'
import { sourceId } from '../../../streams/source-id.ts'

/** Every record has this tenant; the partition is named, so that the load is even. */
export const TENANT = 'bench'

const PARAGRAPH_CHARACTERS = 400
const syllables = ['pu', 'mer', 'sto', 'lan', 'ti', 'gra', 'fen', 'os', 'wel', 'ka', 'dri', 'no', 'sha', 'bel', 'um']

/** Frequent words are short and come often: a text of them shrinks about as much as prose does. */
function vocabulary(): string[] {
  const random = seeded(1)
  const word = (length: number) =>
    Array.from({ length }, () => syllables[Math.floor(random() * syllables.length)]).join('')
  return Array.from({ length: 4_000 }, (_, index) =>
    word(1 + Math.min(4, Math.floor(Math.log10(index + 1) + random()))),
  )
}
const words = vocabulary()

function prose(random: () => number, characters: number): string {
  let text = ''
  while (text.length < characters) text += `${words[Math.floor(words.length ** random()) - 1]} `
  return text.slice(0, characters)
}

/** @param characters of text over all blocks */
export function processedPage(index: number, characters: number): PageProcessed {
  const random = seeded(index + 2)
  const url = `https://bench.example/pages/${index}`
  const blocks = Array.from({ length: Math.ceil(characters / PARAGRAPH_CHARACTERS) }, (_, block) => ({
    kind: 'PARAGRAPH' as const,
    text: prose(random, Math.min(PARAGRAPH_CHARACTERS, characters - block * PARAGRAPH_CHARACTERS)),
    level: 0,
    lang: '',
  }))
  return {
    tenant_id: TENANT,
    source_id: sourceId(TENANT, url),
    url,
    canonical_url: url,
    chunk_type: 'website',
    version: 1n,
    status: 'FETCHED',
    title: `Page ${index}`,
    language: 'en',
    content_hash: String(index),
    fetched_at: 1_700_000_000_000_000n,
    crawl_id: 'bench',
    extractor: 'bench',
    extractor_version: 1,
    blocks,
  }
}
