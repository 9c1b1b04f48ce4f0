/** Kept segments become the blocks of the contract: lists, tables and quotes that belong together are one block. */
import type { Block } from '../../schemas/generated/types.ts'
import type { Segment } from './segments.ts'

/** `segments` in document order, already without what is left out. */
export function blocksOf(segments: readonly Segment[]): Block[] {
  const blocks: Block[] = []
  let open: { group: number; kind: string; parts: string[] } | undefined
  const close = () => {
    const last = blocks.at(-1)
    if (open && last) last.text = open.parts.join('\n')
    open = undefined
  }
  for (const segment of segments) {
    const { kind, group, text, level, lang, marker } = segment
    if (open && group === open.group && kind === open.kind && group > 0) {
      // A second paragraph of a list item goes on with the item's line.
      if (kind === 'LIST' && marker === '') open.parts.push(`${open.parts.pop() ?? ''} ${text}`)
      else open.parts.push(marker + text)
      continue
    }
    close()
    blocks.push({ kind, text: kind === 'LIST' ? (marker || '- ') + text : text, level, lang })
    if (group > 0) open = { group, kind, parts: [blocks.at(-1)?.text ?? ''] }
  }
  close()
  return blocks
}
