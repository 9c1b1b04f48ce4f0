/** The report: one HTML file that needs nothing else, for light and dark screens and for screen readers. */
import type { Figures } from './figures.ts'
import { columns } from './figures-table.ts'
import type { GateResult } from './gates.ts'
import { escape, panel } from './plots.ts'
import type { Recording } from './recording.ts'
import { inFlightLimits, statedApi } from './stated-api.ts'
import { STYLE } from './style.ts'

export interface Measured {
  readonly recording: Recording
  readonly figures: Figures
  readonly gates: readonly GateResult[]
}

export interface About {
  readonly date: string
  readonly database: string
  readonly machine: string
}

export function reportPage(measured: readonly Measured[], about: About): string {
  const gates = measured.flatMap((one) => one.gates)
  const missed = gates.filter(({ met }) => !met)
  const calm = measured.filter((one) => !isEvent(one))
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Smoothness: what downstream sees</title><style>${STYLE}</style></head>
<body><main>
<header><h1>Smoothness: what downstream sees</h1>
<p class="lead">${verdict(gates.length, missed.length)}</p>
${headline(calm)}
<p>Every figure is made of what two receivers logged, each a process of its own in front of the embeddings API and of
Postgres; nothing comes from counters inside the consumers. The API allows ${statedApi.requestsPerMinute} requests and
${statedApi.tokensPerMinute.toLocaleString('en')} tokens a minute and answers in ${statedApi.latencyMs.join(' to ')} ms; ours is told so, and
allowed ${inFlightLimits.embeddings} requests and ${inFlightLimits.postgres} pieces of database work in flight over all instances.</p>
<p class="about">${escape(about.date)} · ${escape(about.database)} · ${escape(about.machine)}</p></header>
${section('The same crawl of 200 pages', calm)}
${section('Ours through events', measured.filter(isEvent))}
${missed.length > 0 ? missedSection(missed, measured) : ''}
${gates.length > 0 ? gatesSection(gates, measured) : ''}
<section aria-labelledby="how"><h2 id="how">How the figures are made</h2>${HOW}</section>
</main></body></html>
`
}

const isEvent = ({ recording }: Measured) => recording.kind === 'event'

const verdict = (all: number, missed: number) =>
  all === 0
    ? 'Baselines only: there is nothing to hold to a gate.'
    : missed === 0
      ? `All ${all} gates are met.`
      : `${all - missed} of ${all} gates are met, <a href="#missed">${missed} ${missed === 1 ? 'is' : 'are'} missed</a>.`

/** The one comparison that needs no explanation. */
function headline(calm: readonly Measured[]): string {
  if (calm.length < 2) return ''
  const said = calm.map(({ recording, figures }) => `${escape(recording.title)}: <b>${figures.mostInASecond}</b>`)
  return `<p>Requests in the fullest second, where the API allows ${statedApi.requestsPerMinute / 60}: ${said.join(' · ')}.</p>`
}

function section(title: string, measured: readonly Measured[]): string {
  if (measured.length === 0) return ''
  const id = title.toLowerCase().replace(/\W+/g, '-')
  return `<section aria-labelledby="${id}"><h2 id="${id}">${escape(title)}</h2>
${figuresTable(measured, title)}
<div class="panels">${measured.map(figure).join('\n')}</div></section>`
}

function figure({ recording, figures, gates }: Measured): string {
  const missed = gates.filter(({ met }) => !met).length
  const state =
    gates.length === 0
      ? ''
      : missed === 0
        ? '<span class="met">all gates met</span>'
        : `<span class="missed">${missed} missed</span>`
  return `<figure><figcaption><h3>${escape(recording.title)}</h3>${state}
<p>${escape(recording.failure ?? recording.what)}</p></figcaption>${panel(recording, summaryOf(figures))}</figure>`
}

const summaryOf = ({ requests, refused, mostInASecond, outstanding, drainS }: Figures) =>
  `${requests} requests, ${refused} of them refused with 429; ${mostInASecond} in the fullest second; ` +
  `${outstanding} outstanding downstream at most; drained ${drainS === null ? 'never' : `in ${drainS.toFixed(1)} seconds`}.`

interface Table {
  /** Names the region that scrolls, and the table. */
  readonly caption: string
  readonly kind: 'figures' | 'gates'
  readonly heads: readonly string[]
  /** The first cell of a row is its heading; cells are HTML. */
  readonly rows: readonly (readonly string[])[]
  /** Columns that hold words. */
  readonly words?: readonly number[]
}

function table({ caption, kind, heads, rows, words = [] }: Table): string {
  const cell = (html: string, column: number) =>
    column === 0 ? `<th scope="row">${html}</th>` : `<td${words.includes(column) ? ' class="text"' : ''}>${html}</td>`
  return `<div class="scroll" tabindex="0" role="region" aria-label="${escape(caption)}"><table class="${kind}">
<caption>${escape(caption)}</caption>
<thead><tr>${heads.map((head) => `<th scope="col">${escape(head)}</th>`).join('')}</tr></thead>
<tbody>${rows.map((row) => `<tr>${row.map(cell).join('')}</tr>`).join('\n')}</tbody></table></div>`
}

function figuresTable(measured: readonly Measured[], title: string): string {
  const kind = measured.some(isEvent) ? 'events' : 'calm'
  const shown = columns.filter(({ of = kind }) => of === kind)
  return table({
    caption: `${title}: figures`,
    kind: 'figures',
    heads: ['scenario', ...shown.map(({ heading }) => heading)],
    rows: measured.map(({ recording, figures }) =>
      [recording.title, ...shown.map(({ value }) => value(figures))].map(escape),
    ),
  })
}

function gatesTable(caption: string, gates: readonly GateResult[], measured: readonly Measured[]): string {
  const titles = new Map(measured.map(({ recording }) => [recording.id, recording.title]))
  return table({
    ...{ caption, kind: 'gates', words: [1, 4, 5] },
    heads: ['scenario', 'gate', 'figure', 'bound', 'state', 'what the logs say'],
    rows: gates.map(({ scenario, gate, value, bound, met, why }) => [
      ...[titles.get(scenario) ?? scenario, gate, value, bound].map(escape),
      met ? '<span class="met">met</span>' : '<span class="missed">missed</span>',
      escape(why),
    ]),
  })
}

const missedSection = (missed: readonly GateResult[], measured: readonly Measured[]) =>
  `<section aria-labelledby="missed"><h2 id="missed">Missed</h2>
${gatesTable('Gates that are missed, by how much and why', missed, measured)}</section>`

const gatesSection = (gates: readonly GateResult[], measured: readonly Measured[]) =>
  `<section aria-labelledby="gates"><h2 id="gates">All gates</h2>
<details><summary>${gates.length} gates</summary>${gatesTable('Every gate of every scenario', gates, measured)}</details></section>`

const HOW = `<dl>
<dt>peak / mean</dt><dd>the fullest window over the mean, from 3 s after the first arrival until 90% of the tokens are answered; windows
hold ten arrivals on average and are a second long at least. After an event: over the minute from the first arrival on.</dd>
<dt>in flight</dt><dd>at any instant, over all instances, from a request's arrival to its answer; in Postgres a statement from its first message
to ReadyForQuery, a transaction from BEGIN to the end of COMMIT. What keeps the fleet in step, leases of budgets and claims of
partitions, is counted apart.</dd>
<dt>drain / ideal</dt><dd>from the first page's publication to the last COMMIT, over the work that the receiver counted at the API's rate.
Instances are warm; processes' start-up is the cold start's matter.</dd>
<dt>over the rate</dt><dd>in the worst window of 10 s, against the rate that was set at that time.</dd>
<dt>retries</dt><dd>requests whose inputs had all been sent before.</dd>
<dt>p99 wait</dt><dd>from a page's publication to the answer that completes it.</dd>
<dt>steady again</dt><dd>from an outage's end until every later window is within a quarter of the even flow.</dd>
<dt>tasks open</dt><dd>what a baseline itself has dispatched and not finished; only it knows, downstream sees the outstanding ones.</dd></dl>`
