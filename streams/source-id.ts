/** A page's identity, the same in every stage and at every producer that wants to compute it. */
import { v5 } from 'uuid'

/** Fixed for ever: another value would give every stored page a new identity. */
const NAMESPACE = '5d3f1c52-8a0e-4b57-9d5c-3c0b6f1e7a44'

/** UUIDv5 over the JSON array `[tenant, canonical URL]`, which no choice of tenant and URL can make ambiguous. */
export const sourceId = (tenantId: string, canonicalUrl: string): string =>
  v5(JSON.stringify([tenantId, canonicalUrl]), NAMESPACE)
