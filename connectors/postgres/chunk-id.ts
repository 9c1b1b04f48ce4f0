/** A chunk's id follows from its key, so that a page rewritten from scratch is the same rows, ids included. */
import { v5 } from 'uuid'

export const chunkId = (tenantId: string, sourceId: string, chunkType: string, chunkIndex: number): string =>
  v5([tenantId, chunkType, chunkIndex].join('\u0000'), sourceId)
