/** Reading of last resort: the visible text by a tokenizer alone, one paragraph per block element. Cannot recurse. */
import { Parser } from 'htmlparser2'
import type { Block } from '../../schemas/generated/types.ts'
import { preclean } from './preclean.ts'
import { readPlain } from './plain.ts'
import { oneLine } from './text.ts'

const INLINE = new Set(
  'a abbr b bdi bdo cite code em font i kbd mark q s samp small span strong sub sup u var wbr'.split(' '),
)

export function fallbackText(source: string): { title: string; blocks: Block[] } {
  let title = ''
  let text = ''
  let inTitle = false
  const apart = (name: string) => {
    if (!INLINE.has(name)) text += '\n\n'
  }
  const parser = new Parser({
    onopentag: (name) => {
      inTitle ||= name === 'title'
      apart(name)
    },
    onclosetag: (name) => {
      if (name === 'title') inTitle = false
      apart(name)
    },
    ontext: (data) => {
      if (inTitle) title += data
      else text += data
    },
  })
  parser.end(preclean(source).html)
  return { title: oneLine(title), blocks: readPlain(text) }
}
