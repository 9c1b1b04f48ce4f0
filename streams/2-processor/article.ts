/** What Mozilla's Readability takes for the article: one opinion among the features, and the one that articles need. */
import { Readability } from '@mozilla/readability'

/** Past this many elements Readability takes seconds; the other features decide alone. */
const MAX_ELEMENTS = 20_000

export interface Article {
  /** Trimmed text nodes of the article. */
  readonly pieces: ReadonlySet<string>
}

/** Empties the document it is given: call last. Never throws. */
export function readArticle(document: Document): Article {
  const pieces = new Set<string>()
  try {
    const options = { maxElemsToParse: MAX_ELEMENTS, disableJSONLD: true, serializer: (node: Node) => node }
    const article = new Readability<Node>(document, options).parse()
    if (article?.content) collect(article.content, pieces)
  } catch {
    // No opinion: malformed documents and those above maxElemsToParse.
  }
  return { pieces }
}

function collect(node: Node, pieces: Set<string>): void {
  for (let child = node.firstChild; child; child = child.nextSibling) {
    if (child.nodeType === 3) {
      const piece = (child.nodeValue ?? '').trim()
      if (piece !== '') pieces.add(piece)
    } else collect(child, pieces)
  }
}
