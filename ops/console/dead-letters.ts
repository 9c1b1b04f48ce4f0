/** Dead letters for the console: the newest as a list, read anew only when the cheap summary has changed. */
import { stageNames, topology } from '../../streams/topology.ts'
import { UserError } from '../../streams/errors.ts'
import type { ConsumedTopic } from '../../schemas/topics.ts'
import type {
  DeadLetter,
  DeadLetterFilter,
  DeadLetters,
  DiscardReport,
  Position,
  RedriveReport,
} from '../dlq/dead-letters.ts'
import type { Jobs } from './jobs.ts'
import type { DeadLetterChoice, DeadLetterPort, DeadLetterRow, LetterList } from './ports.ts'

const SHOWN = 100
/** One that was redriven and failed again leaves the summary as it was. Of many, reading them all is dear. */
const staleMs = (open: number) => (open <= 2_000 ? 30_000 : 300_000)
const topics = stageNames.map((stage) => topology[stage].from)

export function createDeadLetterPort(letters: DeadLetters, jobs: Jobs, now = Date.now): DeadLetterPort {
  let seen = ''
  let readMs = 0
  let newest: readonly DeadLetterRow[] = []

  async function read(): Promise<LetterList> {
    const summary = await letters.summary()
    const key = JSON.stringify(summary.map(({ topic, tenant, code, open }) => [topic, tenant, code, open]))
    const open = (topic: string) => summary.reduce((sum, row) => sum + (row.topic === topic ? row.open : 0), 0)
    const total = summary.reduce((sum, row) => sum + row.open, 0)
    if (key !== seen || now() - readMs > staleMs(total)) {
      readMs = now()
      const lists = await Promise.all(
        topics.filter((topic) => open(topic) > 0).map((topic) => letters.list({ topic, limit: SHOWN })),
      )
      newest = lists
        .flatMap((list) => list.letters.map(rowOf))
        .sort((a, b) => b.deadSinceMs - a.deadSinceMs)
        .slice(0, SHOWN)
      seen = key
    }
    const ages = summary.filter((row) => row.open > 0).map(({ oldestAgeSeconds }) => oldestAgeSeconds * 1000)
    return {
      total,
      // To the second: it is compared with what was sent before, and an age would never be the same.
      oldestMs: ages.length === 0 ? null : Math.round((now() - Math.max(...ages)) / 1000) * 1000,
      topics: topics.map((topic) => ({ topic, open: open(topic) })),
      rows: newest,
    }
  }
  /** What is done from here is seen at once. */
  async function decide(what: string, work: Parameters<Jobs['start']>[1]) {
    try {
      return await jobs.start(what, work)
    } finally {
      seen = ''
    }
  }
  return {
    list: read,
    show: (topic, id) => letters.show(topicOf(topic), positionOf(id)),
    redrive: ({ by, perSecond, ...choice }) =>
      decide(`Redrive of ${choice.topic}`, async (tell, signal) =>
        redriven(
          await letters.redrive(filterOf(choice), {
            ...{ actor: by, ratePerSecond: perSecond, signal },
            onProgress: (count) => tell(`${count} redriven so far`),
          }),
        ),
      ),
    discard: ({ by, reason, ...choice }) =>
      decide(`Discard of ${choice.topic}`, async () =>
        discarded(await letters.discard(filterOf(choice), { reason, actor: by })),
      ),
  }
}

const others = ({ alreadyDone, refused, refusals }: RedriveReport | DiscardReport) =>
  [
    ...(alreadyDone > 0 ? [`${alreadyDone} done before`] : []),
    ...(refused > 0 ? [`${refused} refused: ${refusals[0]?.reason ?? ''}`] : []),
  ].map((text) => `, ${text}`)
const redriven = (report: RedriveReport) => [`${report.redriven} redriven`, ...others(report)].join('')
const discarded = (report: DiscardReport) => [`${report.discarded} discarded`, ...others(report)].join('')

/** Addresses and titles are somebody's text: of any length, and not always there. */
function rowOf({ value, origin: _, action: __, ...letter }: DeadLetter): DeadLetterRow {
  const page = value.kind === 'decoded' ? (value.value as Record<string, unknown> | null) : null
  const textOf = (name: string) => (typeof page?.[name] === 'string' ? page[name].slice(0, 400) : '')
  return { ...letter, message: letter.message.slice(0, 1_000), url: textOf('url'), title: textOf('title') }
}

function filterOf({ topic, tenant, code, ids }: DeadLetterChoice): DeadLetterFilter {
  return { topic: topicOf(topic), tenant, code, at: ids?.map(positionOf) }
}

function topicOf(name: string): ConsumedTopic {
  const topic = topics.find((one) => one === name)
  if (topic) return topic
  throw new UserError(`no dead letters of ${name}`, `There are those of ${topics.join(', ')}.`)
}

function positionOf(id: string): Position {
  const [, partition, offset] = /^(\d{1,9})\/(\d{1,19})$/.exec(id) ?? []
  if (partition === undefined || offset === undefined)
    throw new UserError(`${id} is no partition/offset`, 'Such as 3/120.')
  return { partition: Number(partition), offset: BigInt(offset) }
}
