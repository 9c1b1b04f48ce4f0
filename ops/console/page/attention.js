/** What somebody has to look at, worst first, in one list; said aloud when it changes, and only then. */
import { announce, foreign, h, keyed, setText } from './dom.js'
import { ago, duration, plural } from './format.js'
import { reasonText } from './reasons.js'

export function createAttention(section, summary, model) {
  const list = section.querySelector('ul')
  let known = new Map()
  return () => {
    const found = problems(model)
    section.hidden = found.length === 0
    keyed(
      list,
      found,
      ({ key }) => key,
      ({ level }) => h('li', { class: level }),
      (node, { text }) => setText(node, text),
    )
    const state = summaryOf(model, found)
    setText(summary, state.text)
    summary.className = `summary ${state.level}`
    document.title = `${found.some(({ level }) => level === 'bad') ? '(!) ' : ''}sluice`
    const now = new Map(found.map(({ key, said }) => [key, said]))
    const news = [
      ...[...now].filter(([key]) => !known.has(key)).map(([, said]) => said),
      ...[...known].filter(([key]) => !now.has(key)).map(([, said]) => `No longer: ${said}`),
    ]
    if (news.length > 0) announce(news.join('. '))
    known = now
  }
}

function summaryOf({ connection, figures, lag }, found) {
  if (connection !== 'live') return { level: 'unknown', text: figures ? 'Figures are old' : 'No figures yet' }
  const worst = found[0]
  if (worst && worst.level === 'bad') return { level: 'bad', text: worst.said }
  const rows = lag?.rows ?? []
  const waiting = rows.reduce((sum, row) => sum + row.lag, 0)
  if (waiting === 0) return { level: worst ? 'note' : 'good', text: 'Nothing waits' }
  const age = Math.max(0, ...rows.map(({ oldestAgeMs }) => oldestAgeMs ?? 0))
  return {
    level: worst ? 'note' : 'good',
    text: `Working; the oldest of ${plural(waiting, 'record')} waits for ${duration(age)}`,
  }
}

/** `said`: without figures that change every second, so that it is news once. */
function problems({ figures, lag, deadLetters, tenants, crawls, replays }) {
  const stalled = Map.groupBy(
    (lag?.rows ?? []).filter(({ state }) => state === 'stalled'),
    ({ stage }) => stage,
  )
  const unreadable = Object.entries({ lag, deadLetters, tenants, crawls, replays }).filter(([, part]) => part?.error)
  const open = figures?.breakers.filter(({ kind }) => kind !== 'closed') ?? []
  return [
    ...[...stalled].map(([stage, rows]) => {
      const why = [...new Set(rows.flatMap(({ reasons }) => reasons))].map(reasonText).join(', ')
      const said = `${stage}: stalled`
      return {
        key: `stalled ${stage}`,
        level: 'bad',
        said,
        text: `${said}, ${plural(rows.length, 'partition')}, oldest record ${duration(Math.max(0, ...rows.map(({ oldestAgeMs }) => oldestAgeMs ?? 0)))}${why ? `: ${why}` : ''}`,
      }
    }),
    ...open.map(({ dependency, kind, sinceMs, reason }) => {
      const said = `${dependency}: circuit ${kind}`
      return {
        key: `breaker ${dependency} ${kind}`,
        level: 'bad',
        said,
        text: `${said}, away since ${ago(sinceMs)}: ${foreign(reason).textContent}`,
      }
    }),
    ...unreadable.map(([part, { error }]) => ({
      key: `unreadable ${part}`,
      level: 'bad',
      said: `${names[part]} cannot be read`,
      text: `${names[part]} cannot be read: ${foreign(error).textContent}`,
    })),
    ...(figures?.pauses ?? []).map(({ stage, tenant, partition, by, reason, sinceMs }) => {
      const what = `${stage || 'all stages'}${tenant ? ` for tenant ${foreign(tenant, 60).textContent}` : ''}${partition === -1 ? '' : `, partition ${partition}`}`
      const why = foreign(reason).textContent
      return {
        key: `pause ${stage} ${tenant} ${partition}`,
        level: 'note',
        said: `${what}: paused`,
        text: `${what}: paused ${ago(sinceMs)} by ${foreign(by || 'somebody', 60).textContent}${why ? `: ${why}` : ''}`,
      }
    }),
    ...(deadLetters?.total > 0
      ? [
          {
            key: 'dead letters',
            level: 'note',
            said: 'There are dead letters',
            text: `${plural(deadLetters.total, 'open dead letter')}, the oldest from ${ago(deadLetters.oldestMs)}`,
          },
        ]
      : []),
  ]
}

const names = { lag: 'Lag', deadLetters: 'Dead letters', tenants: 'Tenants', crawls: 'Crawls', replays: 'Replays' }
