/** What ours is held to, and where a figure stands against it. */
import { excess as percent } from './figures-table.ts'
import type { Figures } from './figures.ts'
import type { Recording } from './recording.ts'
import { inFlightLimits } from './stated-api.ts'

export interface GateResult {
  readonly scenario: string
  readonly gate: string
  /** For people: `1.43`, `never`. */
  readonly value: string
  readonly bound: string
  readonly met: boolean
  /** What the log says about why; empty when met. */
  readonly why: string
}

interface Check {
  readonly gate: string
  readonly value: number | null
  readonly most: number
  readonly format?: (value: number) => string
  /** What it means that there is no value. */
  readonly absent?: string
  readonly why?: string
}

const seconds = (value: number) => `${value.toFixed(1)} s`
const times = (value: number) => value.toFixed(2)
const whole = (value: number) => String(value)

const OUTSTANDING = 16

/** No gates for baselines: they are what ours is compared with. */
export function gatesOf(recording: Recording, figures: Figures): GateResult[] {
  if (recording.kind === 'baseline') return []
  if (recording.failure !== null) return [failed(recording)]
  const checks = [
    ...always(figures),
    ...(recording.kind === 'steady' ? steady(figures) : underEvents(recording, figures)),
  ]
  return checks.map((check) => resultOf(recording.id, check))
}

const failed = ({ id, failure }: Recording): GateResult => ({
  ...{ scenario: id, gate: 'it runs to its end', value: 'no', bound: 'yes', met: false, why: failure ?? '' },
})

function always({ inFlight, overRate, stored, published, requests, tokens }: Figures): Check[] {
  const over = `${inFlight.overMs.toFixed(0)} ms above the limit in all`
  return [
    {
      gate: 'embeddings requests in flight',
      value: inFlight.embeddings,
      most: inFlightLimits.embeddings,
      format: whole,
      why: over,
    },
    {
      gate: 'Postgres work in flight',
      value: inFlight.postgres,
      most: inFlightLimits.postgres,
      format: whole,
      why: over,
    },
    {
      gate: 'requests over the rate, worst 10 s',
      value: overRate.requests,
      most: 0.02,
      format: percent,
      why: `${requests} requests`,
    },
    {
      gate: 'tokens over the rate, worst 10 s',
      value: overRate.tokens,
      most: 0.02,
      format: percent,
      why: `${tokens} tokens`,
    },
    { gate: 'pages that are not stored', value: published - stored, most: 0, format: whole },
  ]
}

function steady({
  peak,
  drainRatio,
  drainS,
  idealS,
  outstanding,
  refusedShare,
  refused,
  mostInASecond,
}: Figures): Check[] {
  const fullest = peak && `${windowOf(peak)}; ${mostInASecond} requests in the fullest second`
  return [
    {
      gate: 'peak / mean, steady',
      value: peak?.ratio ?? null,
      most: 1.2,
      why: fullest ?? '',
      absent: 'too short a flow',
    },
    {
      gate: 'drain time / ideal',
      value: drainRatio,
      most: 1.05,
      why: `${drainS?.toFixed(1)} s for ${idealS.toFixed(1)} s of work`,
    },
    { gate: 'outstanding downstream', value: outstanding, most: OUTSTANDING, format: whole },
    {
      gate: '429s provoked',
      value: refusedShare,
      most: 0.005,
      format: percent,
      why: `${refused} requests were refused`,
    },
  ]
}

function underEvents({ arms }: Recording, figures: Figures): Check[] {
  const after = figures.events.flatMap((event): Check[] => [
    {
      gate: `peak / mean, 60 s after “${event.label}”`,
      ...{ value: event.peak?.ratio ?? null, most: 1.5, absent: 'too little flowed' },
      why: event.peak ? windowOf(event.peak) : '',
    },
    ...(event.recovery
      ? [
          {
            gate: `steady again after “${event.label}”`,
            value: event.steadyAfterS,
            most: 60,
            format: seconds,
            absent: 'never',
          },
          {
            gate: `swings after “${event.label}”`,
            value: event.swings,
            most: 0,
            format: whole,
            absent: 'never steady',
          },
        ]
      : []),
  ])
  const { alone, flooded } = figures.arms
  const quiet: Check[] =
    'alone' in arms && alone !== undefined && flooded !== undefined
      ? [
          {
            gate: 'quiet tenants’ p99 wait, flooded / alone',
            value: flooded / alone,
            most: 2,
            why: `${seconds(flooded)} against ${seconds(alone)}`,
          },
        ]
      : []
  return [...after, { gate: 'retries', value: figures.retryShare, most: 0.1, format: percent }, ...quiet]
}

const windowOf = ({ perSecond, windowMs }: NonNullable<Figures['peak']>) =>
  `mean ${perSecond.toFixed(2)}/s in windows of ${(windowMs / 1000).toFixed(1)} s`

function resultOf(
  scenario: string,
  { gate, value, most, format = times, absent = 'none', why = '' }: Check,
): GateResult {
  // 1.2049 is printed as 1.20 and misses 1.2 all the same; 12 ÷ 9.999… does not.
  const met = value !== null && value <= most + 1e-9
  return {
    scenario,
    gate,
    value: value === null ? absent : format(value),
    bound: `≤ ${format(most)}`,
    met,
    why: met ? '' : why,
  }
}
