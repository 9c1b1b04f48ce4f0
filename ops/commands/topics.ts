import { printTable } from './output-table.ts'
import type { Output } from './output.ts'
import { withServices } from './with-services.ts'

/** `sluice topics apply`: topics, then schemas. Exit 1 when a topic differs from its declaration. */
export async function apply(options: Output): Promise<void> {
  const reports = await withServices(['kafka', 'registry'], async (services) => {
    const topics = await services.applyTopics()
    await services.codec.register()
    return topics
  })
  printTable(reports, options, ({ name, state, differences }) => ({
    state,
    topic: name,
    differs: differences.join('; '),
  }))
  if (reports.some(({ state }) => state === 'differs')) process.exitCode = 1
}
