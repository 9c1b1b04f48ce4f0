/** An html page read for extraction: its segments, their features, and what it says of itself. */
import { readArticle } from './article.ts'
import { parseDocument } from './dom.ts'
import { type Features, featuresOf } from './features.ts'
import { type Metadata, metadataOf } from './metadata.ts'
import { type Precleaned, preclean } from './preclean.ts'
import { type Segment, segmentsOf } from './segments.ts'

export interface Page {
  readonly metadata: Metadata
  readonly segments: readonly Segment[]
  /** One per segment. */
  readonly features: readonly Features[]
}

export function readPage(source: string): Page {
  const { html, jsonLd } = visiblePart(source)
  const document = parseDocument(html)
  const metadata = metadataOf(document, jsonLd)
  const segments = document.body ? segmentsOf(document.body) : []
  const article = readArticle(document)
  const product = metadata.types.has('product') || metadata.types.has('itemlist')
  const features = featuresOf(segments, { article, title: metadata.title, product })
  return { metadata, segments, features }
}

/** Some pages hide everything until a script shows it: where most text is hidden, hidden means nothing. */
function visiblePart(source: string): Precleaned {
  const shown = preclean(source)
  return shown.hidden > 2 * shown.visible ? preclean(source, true) : shown
}
