/**
 * `/api/…`: what may be asked for and done, as JSON. GET only reads; every change is a POST. Bodies are checked here, once
 * and whole; what is meant by them is checked where the command line checks it.
 */
import { z } from 'zod'
import { UserError } from '../../streams/errors.ts'
import { stageNames } from '../../streams/topology.ts'
import { readTarget } from '../operator.ts'
import type { Target } from '../operator.ts'
import type { Sources } from './ports.ts'

export interface Action {
  /** `gone`: whoever asked does not wait for the answer any more. */
  readonly run: (body: unknown, gone: AbortSignal) => Promise<object>
  /** Events that it makes out of date. */
  readonly refresh: readonly string[]
}

const text = z.string().max(2_000)
const name = text.min(1)
const amount = z.string().max(40).optional()
const partition = z.number().int().min(0).optional()
/** A person's own word beside what the log says; without one, it was the console. */
const by = z
  .string()
  .max(100)
  .default('')
  .transform((given) => (given.trim() === '' ? 'console' : `${given.trim()} (console)`))

const target = z.strictObject({ stage: z.enum([...stageNames, 'all']).optional(), tenant: name.optional(), partition })
const pause = z.strictObject({ ...target.shape, reason: text.default(''), by })
const limit = z.strictObject({
  ...{ resource: text, tenant: text.default(''), off: z.boolean().optional(), reason: text.default(''), by },
  ...{ requestsPerMinute: amount, tokensPerMinute: amount, inFlight: amount, recordsPerSecond: amount },
})
const crawl = z.strictObject({
  ...{ tenant: name, urls: z.array(name).min(1).max(1_000), maxPages: z.number().int().min(1).optional() },
})
const letters = {
  topic: text,
  tenant: name.optional(),
  code: name.optional(),
  ids: z.array(name).max(1_000).optional(),
  by,
}
const redrive = z.strictObject({ ...letters, perSecond: z.number().positive().max(10_000).optional() })
const discard = z.strictObject({ ...letters, reason: text.trim().min(1, 'say why: the reason is kept') })
const replay = z.strictObject({
  stage: z.enum(stageNames),
  from: name,
  to: name.optional(),
  tenant: name.optional(),
  partition,
})
const id = z.strictObject({ id: name })

export function createActions(sources: Sources): ReadonlyMap<string, Action> {
  const { control, crawls, deadLetters, replays, jobs } = sources
  const found: (readonly [string, Action])[] = [
    actionOf('pause', pause, ['figures', 'lag'], ({ reason, by: who, ...named }) =>
      control.pause(meant(named), { reason, by: who }),
    ),
    actionOf('resume', target, ['figures', 'lag'], async (named) => ({ lifted: await control.resume(meant(named)) })),
    actionOf('limit', limit, ['figures'], ({ resource, tenant, reason, by: who, ...wish }) =>
      control.limit(resource, given(wish), { tenant, reason, by: who }),
    ),
    actionOf('crawl', crawl, ['crawls'], async (wish) => ({ crawlId: await crawls.start(given(wish)) })),
    actionOf('jobs/stop', id, ['figures'], async (job) => ({ stopped: jobs.stop(job.id) })),
  ]
  if (deadLetters)
    found.push(
      actionOf('dead-letters/redrive', redrive, ['dead-letters', 'lag'], deadLetters.redrive),
      actionOf('dead-letters/discard', discard, ['dead-letters'], deadLetters.discard),
    )
  if (replays)
    found.push(
      // It only reads, but for long: no link, prefetch or crawler may start it.
      actionOf('replays/plan', replay, [], replays.plan),
      actionOf('replays/start', replay, ['replays'], replays.start),
      actionOf('replays/cancel', id, ['replays'], (one) => replays.cancel(one.id)),
    )
  return new Map(found)
}

function actionOf<Body>(
  path: string,
  schema: z.ZodType<Body>,
  refresh: readonly string[],
  run: (body: Body, gone: AbortSignal) => Promise<object | void>,
): readonly [string, Action] {
  const checked: Action['run'] = async (body, gone) => (await run(parsed(schema, body), gone)) ?? { done: true }
  return [`/api/${path}`, { refresh, run: checked }]
}

/** What the page asks when somebody opens something. */
export type Question = (query: URLSearchParams) => Promise<object>

export function createQuestions({ crawls, deadLetters }: Sources): ReadonlyMap<string, Question> {
  const questions = new Map<string, Question>()
  questions.set('/api/crawl', (query) => crawls.detail(need(query, 'tenant'), need(query, 'id')))
  if (deadLetters)
    questions.set('/api/dead-letter', (query) => deadLetters.show(need(query, 'topic'), need(query, 'id')))
  return questions
}

function meant(named: z.infer<typeof target>): Target {
  const { stage, ...rest } = given(named)
  const found = readTarget(stage, rest)
  if (found) return found
  throw new UserError('pause or resume what?', 'Name a stage, all, or a tenant.', 2)
}

function need(query: URLSearchParams, key: string): string {
  const value = query.get(key)
  if (value === null) throw new UserError(`the query has no ${key}`, `Add ?${key}=…`, 2)
  return value
}

/** Without the keys whose value is undefined. */
function given<T extends object>(body: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined)) as never
}

function parsed<Body>(schema: z.ZodType<Body>, body: unknown): Body {
  const { data, error } = schema.safeParse(body)
  if (!error) return data
  const problems = error.issues.map(({ path, message }) =>
    path.length > 0 ? `${path.join('.')}: ${message}` : message,
  )
  throw new UserError(problems.join('; '), 'Correct it and send it again.', 2)
}
