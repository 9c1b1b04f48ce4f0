/**
 * Which of two states of a page wins. Used before the work starts and again under the row's lock, so that records may
 * arrive in any order, twice, and from chunkers of two versions at once.
 */
import type { SourceState } from '../writes.ts'

export type WriteDecision = 'write' | 'unchanged' | 'stale'

/** Of equal versions and contents, the news that takes rows away wins: what is gone must not come back. */
const FINALITY = { active: 0, empty: 1, gone: 2 } as const

/**
 * Page version first, then the extractor's, so that a replay through a better one arrives; a tie goes to the greater content hash, so that two pages fetched in the same microsecond end the
 * same everywhere; then the chunker's version, of which an older one never overwrites a newer one. What differs in the
 * configuration alone is written whatever came first: fingerprints have no order, and a replay must be able to apply
 * a configuration. Two configurations live at once therefore end in the one that wrote last.
 */
export function decideWrite(stored: SourceState | null, incoming: SourceState): WriteDecision {
  if (stored === null) return 'write'
  const order = compare(stored, incoming)
  if (order !== 0) return order < 0 ? 'write' : 'stale'
  return stored.configFingerprint === incoming.configFingerprint ? 'unchanged' : 'write'
}

function compare(a: SourceState, b: SourceState): number {
  return (
    ascending(a.version, b.version) ||
    ascending(a.extractorVersion, b.extractorVersion) ||
    ascending(a.contentHash, b.contentHash) ||
    ascending(FINALITY[a.status], FINALITY[b.status]) ||
    ascending(a.chunkerVersion, b.chunkerVersion)
  )
}

const ascending = <T extends bigint | number | string>(a: T, b: T): number => (a < b ? -1 : a > b ? 1 : 0)
