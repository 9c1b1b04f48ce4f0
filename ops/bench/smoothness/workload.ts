/** Pages of a crawl, the same in every run: about 1,000 tokens in seven paragraphs, each with a marker of its own. */
import { seeded } from '../../../streams/throttle/seeded.ts'
import kafkajs from 'kafkajs'
import type { PageCrawled } from '../../../schemas/generated/types.ts'

export interface BenchPage {
  readonly tenant: string
  /** `TENANT-PAGE`; the markers of its paragraphs are `TENANT-PAGE-PARAGRAPH`. */
  readonly id: string
  readonly html: string
}

/** A paragraph is what the chunker aims at for a child, so that nearly every chunk begins with a marker. */
const PARAGRAPHS = 7
const SENTENCES = 7
const SENTENCE_WORDS = 17

const WORDS = `water pump valve pressure filter steam boiler kettle handle spring cover plate screw motor sensor cable
switch button panel light tank pipe hose seal ring brush cloth table kitchen garden summer winter morning evening engine
wheel paper letter number colour window corner market street river mountain forest village harbour engineer teacher
doctor driver painter sailor farmer baker keeps turns opens closes carries follows measures cleans repairs replaces
explains checks compares slowly quickly often never always before after under above between without through around
another every second third small large heavy light green quiet careful simple modern`.split(/\s+/)

export function benchPage(tenant: string, number: number): BenchPage {
  const id = `${tenant}-p${String(number).padStart(3, '0')}`
  const random = seeded([...id].reduce((sum, character) => Math.imul(sum, 31) + character.charCodeAt(0), 7))
  const word = () => WORDS[Math.floor(random() * WORDS.length)]!
  const sentence = () => {
    const words = Array.from({ length: SENTENCE_WORDS }, word).join(' ')
    return `${words[0]!.toUpperCase()}${words.slice(1)}.`
  }
  const paragraph = (index: number) =>
    `<p>bench:${id}-${index} ${Array.from({ length: SENTENCES }, sentence).join(' ')}</p>`
  const text = Array.from({ length: PARAGRAPHS }, (_, index) => paragraph(index)).join('\n')
  const html = `<!doctype html><html lang="en"><head><title>Page ${number}</title></head>
<body><article><h1>Page ${number}</h1>\n${text}\n</article></body></html>`
  return { tenant, id, html }
}

/** `count` pages dealt out to the tenants in turn; `first` is the number of the first page. */
export const crawlOf = (tenants: readonly string[], count: number, first = 0): BenchPage[] =>
  Array.from({ length: count }, (_, index) => benchPage(tenants[index % tenants.length]!, first + index))

export const crawledEvent = ({ tenant, id, html }: BenchPage): Partial<PageCrawled> & { tenant_id: string } => ({
  tenant_id: tenant,
  url: `https://${tenant}.example/${id}`,
  body: Buffer.from(html),
  content_type: 'text/html; charset=utf-8',
})

/** `t03-p017-4` → `t03-p017`. */
export const pageOfMarker = (marker: string): string => marker.slice(0, marker.lastIndexOf('-'))

/** One tenant a partition, in the partitions' order, by the partitioner that producers use. */
export function tenantPerPartition(partitions: number): string[] {
  const partitionMetadata = Array.from({ length: partitions }, (_, partitionId) => ({
    partitionId,
    leader: 0,
  })) as never
  const partitionOf = kafkajs.Partitioners.DefaultPartitioner()
  const tenants = new Map<number, string>()
  for (let index = 0; tenants.size < partitions; index += 1) {
    const key = `t${String(index).padStart(2, '0')}`
    const partition = partitionOf({ topic: 't', partitionMetadata, message: { key, value: null } })
    if (!tenants.has(partition)) tenants.set(partition, key)
  }
  return Array.from({ length: partitions }, (_, partition) => tenants.get(partition)!)
}
