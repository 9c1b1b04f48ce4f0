import { seeded } from '../../../streams/throttle/seeded.ts'
import t from 'tap'
import { extract } from '../../../streams/2-processor/extract.ts'
import { chunkBlocks } from '../../../streams/3-chunker/chunk.ts'
import { countTokens } from '../../../streams/3-chunker/tokens.ts'
import { defaults } from '../../config.ts'
import { benchPage, crawlOf, pageOfMarker, tenantPerPartition } from './workload.ts'

t.test('a page is about 1,000 tokens in seven chunks, each with a marker of its own', async (t) => {
  const { html, id } = benchPage('t03', 17)
  const { blocks } = extract({ body: Buffer.from(html), contentType: 'text/html', url: 'https://e.com/' })
  const children = chunkBlocks(blocks, defaults.chunker).filter(({ parentIndex }) => parentIndex !== null)
  const tokens = children.reduce((sum, { content }) => sum + countTokens(content), 0)
  t.ok(tokens > 850 && tokens < 1150, `${tokens} tokens`)
  const markers = children.map(({ content }) => /bench:([\w-]+)/.exec(content)?.[1])
  t.ok(children.length >= 6 && children.length <= 8, `${children.length} chunks`)
  t.equal(new Set(markers).size, children.length)
  for (const marker of markers) t.equal(pageOfMarker(marker ?? ''), id)
})

t.test('pages are the same in every run and differ from each other', async (t) => {
  t.same(crawlOf(['a', 'b'], 6, 10), crawlOf(['a', 'b'], 6, 10))
  t.equal(new Set(crawlOf(['a', 'b'], 40).map(({ html }) => html)).size, 40)
  t.same(
    crawlOf(['a', 'b'], 3, 9).map(({ id }) => id),
    ['a-p009', 'b-p010', 'a-p011'],
  )
})

t.test('every partition has one tenant', async (t) => {
  t.equal(new Set(tenantPerPartition(12)).size, 12)
})

t.test('seeded numbers spread over [0, 1)', async (t) => {
  const random = seeded(1)
  const slots = new Set(Array.from({ length: 500 }, () => Math.floor(random() * 10)))
  t.same([...slots].sort(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
})
