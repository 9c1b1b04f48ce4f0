import t from 'tap'
import { StageError } from '../../streams/errors.ts'
import type { GuardedFetch } from '../../streams/1-crawler/ports.ts'
import { createRobots } from './robots.ts'

/** `answers`: per call, a status with a body, or nothing for a network error. */
function robotsServing(answers: ([number, string] | undefined)[]) {
  const clock = { at: 0, now: () => clock.at }
  const asked: string[] = []
  const fetch: GuardedFetch = async (url) => {
    asked.push(url)
    const answer = answers[Math.min(asked.length, answers.length) - 1]
    if (!answer) throw new StageError('fetch_failed', 'no', { retriable: true })
    return { status: answer[0], url, headers: {}, body: Buffer.from(answer[1]) }
  }
  const robots = createRobots({ fetch, clock, userAgent: 'sluice/1', ttlMs: 1000, failureTtlMs: 100 })
  return { robots, clock, asked }
}

t.test('a 4xx means that there are no rules', async (t) => {
  for (const status of [400, 401, 403, 404, 410])
    t.match(await robotsServing([[status, 'User-agent: *\nDisallow: /']]).robots.check('https://a.example/x'), {
      allowed: true,
    })
})

t.test('5xx, 429, other statuses and network errors forbid everything for a short while', async (t) => {
  for (const answer of [[500, ''], [503, ''], [429, ''], [302, ''], undefined] as ([number, string] | undefined)[]) {
    const { robots, clock, asked } = robotsServing([answer, [200, '']])
    t.match(await robots.check('https://a.example/x'), { allowed: false, retryAfterMs: 100 })
    clock.at = 99
    t.match(await robots.check('https://a.example/y'), { allowed: false, retryAfterMs: 1 })
    clock.at = 100
    t.match(await robots.check('https://a.example/x'), { allowed: true })
    t.equal(asked.length, 2)
  }
})

t.test('rules are fetched once per origin, also under concurrency, and again when they are old', async (t) => {
  const { robots, clock, asked } = robotsServing([
    [200, 'User-agent: *\nDisallow: /x\nCrawl-delay: 2'],
    [200, ''],
  ])
  const check = () => robots.check('https://a.example/x')
  t.same(await Promise.all([check(), check()]), Array(2).fill({ allowed: false, crawlDelayMs: 2000 }))
  t.same(asked, ['https://a.example/robots.txt'])
  clock.at = 1000
  t.match(await check(), { allowed: true })
  await robots.check('http://a.example:8080/x')
  t.same(asked.slice(2), ['http://a.example:8080/robots.txt'])
})

t.test('robots.txt itself is allowed without asking', async (t) => {
  const { robots, asked } = robotsServing([undefined])
  t.match(await robots.check('https://a.example/robots.txt'), { allowed: true })
  t.equal(asked.length, 0)
})
