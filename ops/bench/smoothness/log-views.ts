/** Views of the receivers' logs: spans in flight, requests sent again, waits of pages. */
import type { Span } from './analysis.ts'
import type { LoggedRequest, Recording } from './recording.ts'
import { pageOfMarker } from './workload.ts'

/** Without the control plane. */
export function spansOf({ embeddings, postgres }: Recording): { embeddings: Span[]; postgres: Span[] } {
  return {
    embeddings: embeddings.map(({ atMs, endMs }) => ({ startMs: atMs, endMs })),
    postgres: postgres.filter(({ control }) => !control).map(({ startMs, endMs }) => ({ startMs, endMs })),
  }
}

/** Requests whose inputs have all been sent before; what has no marker at all counts as new. */
export function repeats(embeddings: readonly LoggedRequest[]): number {
  const seen = new Set<string>()
  return embeddings.filter(({ markers }) => {
    const again = markers.length > 0 && markers.every((marker) => seen.has(marker))
    for (const marker of markers) seen.add(marker)
    return again
  }).length
}

/** From a page's publication to the end of the last answer that carries a part of it, ms. */
export function waitsOf({ embeddings, publishedMs }: Recording): Map<string, number> {
  const waits = new Map<string, number>()
  for (const { status, markers, endMs, atMs } of embeddings) {
    if (status !== 200) continue
    for (const page of new Set(markers.map(pageOfMarker))) {
      const published = publishedMs[page]
      if (published !== undefined) waits.set(page, Math.max(waits.get(page) ?? 0, (endMs ?? atMs) - published))
    }
  }
  return waits
}
