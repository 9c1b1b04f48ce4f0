import type { TopicReport } from '../../connectors/kafka/topics.ts'
import { printRows } from './output.ts'
import type { Output } from './output.ts'
import { withServices } from './with-services.ts'

/** `sluice topics apply`: topics, then schemas. Exit 1 when a topic differs from its declaration. */
export async function apply(options: Output): Promise<void> {
  const reports = await withServices(['kafka', 'registry'], async (services) => {
    const topics = await services.applyTopics()
    await services.codec.register()
    return topics
  })
  printRows(reports, options, ({ name, state, differences }: TopicReport) =>
    [state.padEnd(8), name, ...(differences.length > 0 ? [`(${differences.join('; ')})`] : [])].join(' '),
  )
  if (reports.some(({ state }) => state === 'differs')) process.exitCode = 1
}
