/** Limits as people enter them: which resource has which, in which unit, and what it is called inside. */
import { UserError } from '../../streams/errors.ts'
import { stageNames } from '../../streams/topology.ts'
import type { BudgetName } from '../../streams/throttle/control-state.ts'

interface LimitOption {
  readonly resource: string
  /** As on the command line and, in commander's spelling, in the options. */
  readonly flag: string
  readonly name: keyof Amounts
  readonly unit: string
  readonly budget: BudgetName
  /** Units in one of the budget: a rate of one per second is 60 per minute. */
  readonly perUnit: number
  /** A slot is held for as long as a request takes: it cannot be told apart by tenant. */
  readonly ofTenants: boolean
}

interface Amounts {
  readonly requestsPerMinute?: string
  readonly tokensPerMinute?: string
  readonly inFlight?: string
  readonly recordsPerSecond?: string
}
export interface LimitWish extends Amounts {
  /** Lifts all limits of the resource. */
  readonly off?: boolean
}

const requests = {
  flag: '--requests-per-minute',
  name: 'requestsPerMinute',
  unit: 'requests/min',
  perUnit: 60,
} as const
const tokens = { flag: '--tokens-per-minute', name: 'tokensPerMinute', unit: 'tokens/min', perUnit: 60 } as const
const slots = { flag: '--in-flight', name: 'inFlight', unit: 'in flight', perUnit: 1, ofTenants: false } as const
const records = { flag: '--records-per-second', name: 'recordsPerSecond', unit: 'records/s', perUnit: 1 } as const

export const limitOptions: readonly LimitOption[] = [
  { resource: 'embeddings', ...requests, budget: 'embedding_requests', ofTenants: true },
  { resource: 'embeddings', ...tokens, budget: 'embedding_tokens', ofTenants: true },
  { resource: 'embeddings', ...slots, budget: 'embedding_slots' },
  { resource: 'database', ...slots, budget: 'database_slots' },
  ...stageNames.map((stage) => ({ resource: stage, ...records, budget: `${stage}_records` as const, ofTenants: true })),
]
export const limitedResources = [...new Set(limitOptions.map(({ resource }) => resource))]

export interface WishedLimit {
  readonly budget: BudgetName
  readonly value: number | 'off' | 'unlimited'
}

/** Empty: nothing is to be set, so what there is is listed. @throws UserError naming what to write instead. */
export function wishedLimits(resource: string | undefined, wish: LimitWish, tenant: string): WishedLimit[] {
  const given = [...new Set(limitOptions.map(({ name }) => name))].filter((name) => wish[name] !== undefined)
  if (resource === undefined) {
    if (given.length === 0 && !wish.off) return []
    throw new UserError('a limit of what?', `Name one of ${limitedResources.join(', ')}.`, 2)
  }
  const known = limitOptions.filter((option) => option.resource === resource)
  if (known.length === 0)
    throw new UserError(`no limits for ${resource}`, `There are ${limitedResources.join(', ')}.`, 2)
  const own = known.filter(({ ofTenants }) => ofTenants || tenant === '')
  const flags = own.map(({ flag }) => flag).join(', ')
  const foreign = given.filter((name) => !own.some((option) => option.name === name))
  if (own.length === 0 || foreign.length > 0) {
    const flag = limitOptions.find(({ name }) => name === (foreign[0] ?? known[0]!.name))!.flag
    const whose = tenant === '' ? '' : ' of a tenant'
    throw new UserError(`${resource}${whose} has no ${flag}`, flags ? `It has ${flags}.` : 'Limit it for all.', 2)
  }
  if (wish.off) {
    if (given.length > 0) throw new UserError('--off lifts all limits of the resource', `Or say ${flags} off.`, 2)
    return own.map(({ budget }) => ({ budget, value: 'off' }))
  }
  if (given.length === 0) throw new UserError(`which limit of ${resource}?`, `It has ${flags}, and --off.`, 2)
  return own.flatMap((option) => {
    const text = wish[option.name]
    return text === undefined ? [] : [{ budget: option.budget, value: amountOf(option, text) }]
  })
}

function amountOf({ flag, perUnit }: LimitOption, text: string): WishedLimit['value'] {
  if (text === 'off' || text === 'unlimited') return text
  const amount = Number(text)
  const isWhole = flag !== '--in-flight' || Number.isInteger(amount)
  if (/^\d+(\.\d+)?$/.test(text) && Number.isFinite(amount) && amount > 0 && isWhole) return amount / perUnit
  const wanted = flag === '--in-flight' ? 'a whole number above 0' : 'a number above 0'
  throw new UserError(
    `${flag} must be ${wanted}, \`off\` (what the environment says holds again) or \`unlimited\`, not ${text}`,
    'To stop the work altogether: sluice pause',
    2,
  )
}
