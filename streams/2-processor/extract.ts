/**
 * Bytes of a page to title, language and blocks of its main content. Pure and synchronous; made to run in a worker
 * thread. Never throws for what a page holds: whatever a parser trips over, a simpler reading takes its place.
 */
import type { Block } from '../../schemas/generated/types.ts'
import { blocksOf } from './blocks.ts'
import { decode } from './charset.ts'
import { formatOf } from './content-type.ts'
import { fallbackText } from './fallback.ts'
import { mainContent } from './main-content.ts'
import { readMarkdown } from './markdown.ts'
import { type Robots, canonicalTag, languageOfScript } from './metadata.ts'
import { readPage } from './page.ts'
import { readPlain } from './plain.ts'
import { clean } from './text.ts'

export interface ExtractInput {
  readonly body: Uint8Array
  /** As in the record; a charset in it wins over the page's own. */
  readonly contentType: string
  readonly url: string
}

export interface Extracted {
  readonly title: string
  /** BCP 47, empty if unknown. */
  readonly language: string
  readonly blocks: Block[]
  /** What the page's `robots` meta asks for; the crawler's business, not acted upon here. */
  readonly robots: Robots
  /** Nothing worth keeping: only navigation, notices, or no text at all. */
  readonly empty: boolean
}

/** Raise it whenever the same bytes may give other blocks: a replay through a newer extractor replaces what an older made. */
export const EXTRACTOR_VERSION = 1
export const EXTRACTOR = `sluice-extract/${EXTRACTOR_VERSION}`

const NO_ROBOTS: Robots = { noindex: false, nofollow: false }

export function extract({ body, contentType }: ExtractInput): Extracted {
  const source = decode(body, contentType)
  const format = formatOf(contentType) ?? 'text'
  if (format === 'html') return fromHtml(source)
  const text = clean(source)
  const page = format === 'markdown' ? readMarkdown(text) : { title: '', language: '', blocks: readPlain(text) }
  const language = canonicalTag(page.language) || languageOfScript(text.slice(0, 5000))
  return { title: page.title, language, blocks: page.blocks, robots: NO_ROBOTS, empty: page.blocks.length === 0 }
}

function fromHtml(source: string): Extracted {
  try {
    const page = readPage(source)
    const blocks = withDeclared(blocksOf(mainContent(page)), page.metadata.bodies)
    const { title, language, robots } = page.metadata
    return { title, language, blocks, robots, empty: blocks.length === 0 }
  } catch {
    // A parser's own failure (recursion, an assertion): text without structure is better than a lost page.
    const { title, blocks } = fallbackText(source)
    const language = languageOfScript(blocks[0]?.text ?? '')
    return { title, language, blocks, robots: NO_ROBOTS, empty: blocks.length === 0 }
  }
}

/** Pages made by scripts may say in JSON-LD what their markup lacks; beside content of its own it lowers F1 by .005. */
const withDeclared = (blocks: Block[], bodies: readonly string[]): Block[] =>
  blocks.length > 0 ? blocks : bodies.flatMap((body) => fallbackText(body).blocks)
