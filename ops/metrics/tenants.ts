/**
 * Which tenants metrics name: those of an allowlist, or the few that do most. All others are `other`, so that a hundred
 * thousand tenants cost no more series than ten.
 */

export interface TenantLabels {
  /** @param amount of work by which they are ranked, 1 unless told; 0 only asks. @returns the tenant, or `other`. */
  readonly labelOf: (tenantId: string, amount?: number) => string
}

interface Options {
  /** If there is one, it decides alone. */
  readonly allowed: readonly string[]
  readonly top: number
  /** A tenant is named no longer: its series are to be removed. What it does from now on counts as `other`. */
  readonly onDrop: (tenantId: string) => void
}

export const OTHER = 'other'
/** So many are ranked for each one that is named: a small tenant that grows is noticed, at a bounded cost. */
const RANKED_PER_NAMED = 8
/** A newcomer takes a place when it does this much more than the least of the named ones: places do not flutter. */
const LEAD = 2
/** The past counts half after this many records: who was busy last month gives way. */
const HALVE_EVERY = 50_000

export function createTenantLabels({ allowed, top, onDrop }: Options): TenantLabels {
  const allowlist = new Set(allowed)
  if (allowlist.size > 0) return { labelOf: (tenantId) => (allowlist.has(tenantId) ? tenantId : OTHER) }
  const ranked = new Map<string, Score>()
  const named = new Set<string>()
  let sinceHalved = 0

  /** "Space saving": whoever is not ranked takes the place of the least, and what that had done as its own doubt. */
  function scoreOf(tenantId: string): Score {
    const known = ranked.get(tenantId)
    if (known) return known
    const score: Score = { done: 0, doubt: 0 }
    if (ranked.size >= top * RANKED_PER_NAMED) {
      const least = leastOf([...ranked.keys()].filter((one) => !named.has(one)))
      score.done = score.doubt = ranked.get(least)!.done
      ranked.delete(least)
    }
    ranked.set(tenantId, score)
    return score
  }
  /** What it has done for certain. */
  const sure = (tenantId: string) => ranked.get(tenantId)!.done - ranked.get(tenantId)!.doubt
  function leastOf(tenants: Iterable<string>): string {
    let least: string | undefined
    for (const one of tenants) if (least === undefined || ranked.get(one)!.done < ranked.get(least)!.done) least = one
    return least!
  }
  function fade() {
    sinceHalved = 0
    for (const score of ranked.values()) {
      score.done /= 2
      score.doubt /= 2
    }
  }
  function name(tenantId: string): boolean {
    if (named.size >= top) {
      const least = leastOf(named)
      if (sure(tenantId) <= ranked.get(least)!.done * LEAD) return false
      named.delete(least)
      onDrop(least)
    }
    named.add(tenantId)
    return true
  }
  return {
    labelOf: (tenantId, amount = 1) => {
      // A tenant whose id is `other` could not be told apart from the rest.
      if (top === 0 || tenantId === OTHER || tenantId === '') return OTHER
      if (amount === 0 && named.size >= top) return named.has(tenantId) ? tenantId : OTHER
      scoreOf(tenantId).done += amount
      sinceHalved += amount > 0 ? 1 : 0
      if (sinceHalved >= HALVE_EVERY) fade()
      return named.has(tenantId) || name(tenantId) ? tenantId : OTHER
    },
  }
}

interface Score {
  done: number
  doubt: number
}
