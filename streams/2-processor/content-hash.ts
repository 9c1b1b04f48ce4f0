/** What makes two versions of a page the same page: its title and blocks, nothing of how they were fetched or marked up. */
import { createHash } from 'node:crypto'
import type { Block } from '../../schemas/generated/types.ts'

/** SHA-256, hex. JSON keeps the parts apart, and its order is fixed here rather than by how a block was built. */
export const contentHash = (title: string, blocks: readonly Block[]): string =>
  createHash('sha256')
    .update(JSON.stringify([title, blocks.map(({ kind, text, level, lang }) => [kind, text, level, lang])]))
    .digest('hex')
