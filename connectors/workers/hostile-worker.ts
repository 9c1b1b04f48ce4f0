/** A worker for tests: the page's text says how it fails, so that no test hangs on a bug of some parser. */
import type { ExtractInput, Extracted } from '../../streams/2-processor/extract.ts'
import { announced } from './extract-task.ts'

export default announced(({ body }: ExtractInput): Extracted => {
  const order = new TextDecoder().decode(body)
  if (order === 'hang') for (;;);
  if (order === 'explode') for (const hoard: object[] = []; ;) hoard.push(new Array(10_000).fill(order))
  if (order === 'exit') process.exit(1)
  return { title: order, language: '', blocks: [], robots: { noindex: false, nofollow: false }, empty: true }
})
