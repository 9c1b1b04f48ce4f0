/** Several instances over one log with delays, a dependency that comes and goes, instances that crash and come back. */
import fc from 'fast-check'
import t from 'tap'
import { createControlLog } from '../../ops/testing/control-log.ts'
import type { FakeChannel } from '../../ops/testing/control-log.ts'
import { createFakeClock } from '../../ops/testing/fake-clock.ts'
import { fakeLogger } from '../../ops/testing/runtime-fakes.ts'
import type { Clock } from '../runtime/ports.ts'
import type { FleetBreaker } from './breaker-ports.ts'
import { createFleetBreaker } from './breaker.ts'

const MIN_MS = 500
const MAX_MS = 8_000
const PROBE_MS = 3_000
/** Of one hop; what an instance writes is read by all after two. */
const MAX_DELAY_MS = 150

interface Plan {
  readonly instances: number
  readonly seed: number
  /** From, for how long, and the Retry-After that refusals carry (0: none), milliseconds. */
  readonly outages: readonly { afterMs: number; forMs: number; retryAfterMs: number }[]
  readonly crashes: readonly { atMs: number; instance: number; awayMs: number; compaction: boolean; skewMs: number }[]
  /** Instances that have nothing to send at first. */
  readonly idle: readonly number[]
}
const milliseconds = (min: number, max: number) => fc.integer({ min, max })
const plans: fc.Arbitrary<Plan> = fc.record({
  instances: fc.integer({ min: 1, max: 4 }),
  seed: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  outages: fc.array(
    fc.record({
      afterMs: milliseconds(200, 6_000),
      forMs: milliseconds(100, 15_000),
      retryAfterMs: fc.constantFrom(0, 0, 2_500, 9_000),
    }),
    { minLength: 1, maxLength: 3 },
  ),
  crashes: fc.array(
    fc.record({
      atMs: milliseconds(500, 30_000),
      instance: fc.nat(3),
      awayMs: milliseconds(0, 4_000),
      compaction: fc.boolean(),
      skewMs: fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, milliseconds(-20_000, 20_000)),
    }),
    { maxLength: 4 },
  ),
  idle: fc.uniqueArray(fc.nat(3), { maxLength: 3 }),
})

interface Member {
  readonly name: string
  readonly channel: FakeChannel
  readonly breaker: FleetBreaker
  /** Requests of its claim that are under way. */
  probing: boolean
  alive: boolean
  diedMs: number
}

async function simulate(plan: Plan) {
  const real = createFakeClock()
  const startMs = real.now()
  const problems: string[] = []
  let seed = plan.seed
  const random = () => {
    seed = (seed * 48_271) % 2_147_483_647 // Lehmer, so that a run can be repeated
    return seed / 2_147_483_647
  }
  const members: Member[] = []
  const clock: Clock = {
    now: real.now,
    after: (ms, call) =>
      real.after(ms, () => {
        call()
        check()
      }),
  }
  const log = createControlLog(clock, () => random() * MAX_DELAY_MS)
  // A wait that a newcomer finds in the log counts from its writer's clock: one that is wrong shortens it, boundedly.
  const clocksAgree = plan.crashes.every(({ skewMs }) => skewMs === 0)
  const told: { atMs: number; untilMs: number; by: Member }[] = []
  let probes = 0
  let ending = false

  const windows = plan.outages.reduce<{ fromMs: number; toMs: number; retryAfterMs: number }[]>((all, outage) => {
    const fromMs = (all.at(-1)?.toMs ?? startMs) + outage.afterMs
    return [...all, { fromMs, toMs: fromMs + outage.forMs, retryAfterMs: outage.retryAfterMs }]
  }, [])
  const refusal = () => windows.find(({ fromMs, toMs }) => real.now() >= fromMs && real.now() < toMs)

  function check() {
    const holders = members.filter(({ alive, breaker }) => alive && breaker.state().probeIsMine)
    if (holders.length > 1) problems.push(`${holders.map(({ name }) => name).join(' and ')} both hold the probe`)
  }
  function join(index: number, life: number, from: { compaction: boolean; skewMs: number }) {
    const name = `${index}.${life}`
    const channel = log.connect(name, from)
    const breaker = createFleetBreaker({
      ...{ dependency: 'embeddings', channel, clock, random, logger: fakeLogger() },
      ...{ tripAfter: 3, minMs: MIN_MS, maxMs: MAX_MS, probeMs: PROBE_MS },
      hasWork: () => ending || !plan.idle.includes(index),
    })
    const member: Member = { name, channel, breaker, probing: false, alive: true, diedMs: Infinity }
    members[index] = member
    work(member, index)
  }
  function work(member: Member, index: number) {
    if (!member.alive) return
    const { kind, probeIsMine } = member.breaker.state()
    const busy = ending || !plan.idle.includes(index)
    if (busy && kind === 'closed') send(member, false)
    else if (busy && probeIsMine && !member.probing) send(member, true)
    clock.after(20 + random() * 80, () => work(member, index))
  }
  function send(member: Member, isProbe: boolean) {
    const sentMs = real.now()
    if (isProbe) {
      probes += 1
      member.probing = true
      member.breaker.sent()
      // Six hops: a word that two instances wrote at once is written again by the one whose was refused; one that died
      // sooner may have told nobody.
      const knownMs = 6 * MAX_DELAY_MS
      const early = told.find(
        ({ atMs, untilMs, by }) => sentMs > atMs + knownMs && sentMs < untilMs && by.diedMs > atMs + knownMs,
      )
      if (early && clocksAgree) problems.push(`a probe ${early.untilMs - sentMs} ms before the Retry-After`)
    }
    const refused = refusal()
    clock.after(10 + random() * 400, () => {
      if (!member.alive) return
      if (isProbe) member.probing = false
      if (!refused) return member.breaker.succeeded({ sentMs })
      const retryAfterMs = refused.retryAfterMs
      if (retryAfterMs > 0) told.push({ atMs: real.now(), untilMs: real.now() + retryAfterMs, by: member })
      member.breaker.failed({ message: 'away', sentMs, ...(retryAfterMs > 0 && { retryAfterMs }) })
    })
  }
  for (let index = 0; index < plan.instances; index += 1) join(index, 0, { compaction: false, skewMs: 0 })
  plan.crashes.forEach(({ atMs, instance, awayMs, compaction, skewMs }, life) => {
    const index = instance % plan.instances
    clock.after(atMs, () => {
      const member = members[index]!
      if (!member.alive) return
      member.alive = false
      member.diedMs = real.now()
      member.channel.die()
      member.breaker.close()
      clock.after(awayMs, () => join(index, life + 1, { compaction, skewMs }))
    })
  })
  const overMs = Math.max(windows.at(-1)!.toMs, startMs + 35_000)
  await real.advance(overMs - startMs)
  ending = true
  // The longest Retry-After, or the longest wait; a claim whose holder died; a probe; a few hops.
  await real.advance(9_000 + MAX_MS + 2 * PROBE_MS + 2_000)
  return { members, log, problems, probes }
}

const runs = { numRuns: Number(process.env['SLUICE_FUZZ_RUNS'] ?? 40) }

void t.test('at most one instance holds the probe, none probes before a Retry-After, and all end closed', async (t) => {
  let probes = 0
  await fc.assert(
    fc.asyncProperty(plans, async (plan) => {
      const run = await simulate(plan)
      probes += run.probes
      if (run.problems.length > 0) throw new Error(run.problems[0])
      for (const { name, breaker } of run.members)
        if (breaker.state().kind !== 'closed') throw new Error(`${name} is ${JSON.stringify(breaker.state())}`)
    }),
    runs,
  )
  t.ok(probes > 0, 'some runs had probes')
})

void t.test('whoever reads the log agrees: those who lived through it, newcomers, and after compaction', async (t) => {
  await fc.assert(
    fc.asyncProperty(plans, async (plan) => {
      const { members, log } = await simulate(plan)
      const states = [
        ...members.map(({ channel }) => channel.state()),
        log.replay(),
        log.replay({ compaction: true }),
      ].map(({ breakers }) => breakers.get('embeddings'))
      const seen = new Set(states.map((state) => state && `${state.kind} ${state.term} ${state.instance}`))
      if (seen.size > 1) throw new Error(`they differ: ${[...seen].join(', ')}`)
    }),
    runs,
  )
  t.pass()
})
