/** Pause and resume, each after a question: it holds on every instance, and across restarts. */
import { act } from './api.js'
import { askFor, remembered, whoField } from './dialog.js'
import { foreign, h } from './dom.js'
import { ago } from './format.js'

export const describeTarget = ({ stage, tenant, partition }) => {
  const where = !stage || stage === 'all' ? 'all stages' : stage
  const whose = tenant ? [' for tenant ', foreign(tenant, 80)] : []
  const part = partition !== undefined && partition !== -1 ? [`, partition ${partition}`] : []
  return h('span', {}, where, ...whose, ...part)
}

/** As the server's API names it: nothing for all. */
const named = ({ stage, tenant, partition }) => ({
  ...(stage ? { stage } : tenant ? {} : { stage: 'all' }),
  ...(tenant && { tenant }),
  ...(partition !== undefined && partition !== -1 && { partition }),
})

export function askPause(target) {
  askFor({
    title: target.tenant ? 'Pause this tenant?' : `Pause ${target.stage === 'all' ? 'everything' : target.stage}?`,
    text: [
      h(
        'p',
        {},
        'This pauses ',
        describeTarget(target),
        ' on every instance, until it is resumed, also across restarts.',
      ),
      'What is under way is finished. Records wait in Kafka; nothing is lost as long as they are within their retention.',
    ],
    fields: [
      { name: 'reason', label: 'Reason', maxlength: 500, placeholder: 'for whoever finds it paused' },
      whoField(),
    ],
    action: 'Pause',
    danger: true,
    submit: async ({ reason, by }) => {
      await act('api/pause', { ...named(target), reason, by: remembered(by) })
      return 'Paused'
    },
  })
}

/** @param pause as the figures have it. */
export function askResume(pause) {
  askFor({
    title: 'Resume?',
    text: [
      h(
        'p',
        {},
        'This resumes ',
        describeTarget(pause),
        ' on every instance. Partitions come back one by one, within the limits.',
      ),
      h(
        'p',
        {},
        `Paused ${ago(pause.sinceMs)} by `,
        foreign(pause.by || 'somebody', 80),
        pause.reason ? ': ' : '',
        foreign(pause.reason),
      ),
    ],
    action: 'Resume',
    submit: async () => {
      const { lifted } = await act('api/resume', named(pause))
      return lifted ? 'Resumed' : 'It was not paused any more'
    },
  })
}
