/** Plain text as blocks: paragraphs end at empty lines, and nothing else is guessed. */
import type { Block } from '../../schemas/generated/types.ts'
import { lines } from './text.ts'

/** The title is empty: a first line may be anything. */
export const readPlain = (source: string): Block[] =>
  source
    .split(/\n[^\S\n]*\n/)
    .map(lines)
    .filter(Boolean)
    .map((text) => ({ kind: 'PARAGRAPH' as const, text, level: 0, lang: '' }))
