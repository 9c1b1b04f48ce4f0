/** Page events for tests, as upstream and as the processor would send them. */
import type { PageCrawled, PageProcessed } from '../../schemas/generated/types.ts'
import { sourceId } from '../../streams/source-id.ts'

/** A page event as an upstream service sends it. */
export function crawledPage(
  tenant: string,
  path: string,
  given: Partial<PageCrawled> = {},
): Partial<PageCrawled> & { tenant_id: string } {
  const words = given.body ? '' : `The pump ${path} of ${tenant} moves water uphill. `.repeat(30)
  const html = `<html lang="en"><head><title>Pump ${path}</title></head><body><article><h1>Pump ${path}</h1><p>${words}</p></article></body></html>`
  return {
    tenant_id: tenant,
    url: `https://${tenant}.example/${path}`,
    body: Buffer.from(html),
    content_type: 'text/html; charset=utf-8',
    version: 1n,
    ...given,
  }
}

/** What the processor makes of a page, with as many paragraphs as asked for. */
export function processedPage(
  tenant: string,
  path: string,
  given: Partial<PageProcessed> & { paragraphs?: number } = {},
) {
  const { paragraphs = 3, ...fields } = given
  const url = `https://${tenant}.example/${path}`
  const version = fields.version ?? 1n
  return {
    tenant_id: tenant,
    source_id: sourceId(tenant, url),
    url,
    canonical_url: url,
    status: 'FETCHED',
    version,
    title: `Pump ${path}`,
    language: 'en',
    content_hash: `${path}-${version}-${paragraphs}`,
    blocks: Array.from({ length: paragraphs }, (_, index) => ({
      kind: 'PARAGRAPH',
      text: `Paragraph ${index} of ${path} at version ${version}: ${'the pump moves water uphill without a sound. '.repeat(14)}`,
      level: 0,
      lang: '',
    })),
    ...fields,
  }
}
