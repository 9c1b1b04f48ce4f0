/**
 * A fleet in one process, for tests: members with delays, lost messages, kills, stops and cuts, over the table's model.
 * Time is the fake clock's; everything random comes from `random`.
 */
import type { Clock, Logger } from '../runtime/ports.ts'
import { createLeases } from './leases.ts'
import type { LeasedBudget } from './leases.ts'
import { createLeaseTableModel } from './leases-model.ts'
import type { LeaseAnswer } from './leases-port.ts'

export const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

export interface Member {
  readonly id: number
  readonly budget: LeasedBudget
  readonly leases: ReturnType<typeof createLeases>
  want: number
  weight: number
  total: number
  /** What it believes to own. */
  owned: readonly string[]
  state: 'running' | 'stopped' | 'dead'
  toTable: boolean
  fromTable: boolean
  /** Requests under way, as the dependency sees them. */
  readonly atWork: () => number
  /** Starts as much as is allowed. */
  readonly work: () => void
}

export interface SteppedClock extends Clock {
  readonly advance: (ms: number) => Promise<void>
}

interface Options {
  readonly clock: SteppedClock
  readonly kind: 'rate' | 'slots'
  readonly total: number
  readonly random: () => number
  /** Part of the messages that is late by seconds; none unless given. */
  readonly late?: number
  readonly maxWorkMs?: number
}

export interface Fleet {
  readonly members: Member[]
  readonly usable: () => number
  readonly atWork: () => number
  readonly greatestTotal: () => number
  readonly held: () => number
  readonly join: () => Member
  readonly kill: (member: Member) => void
  readonly stop: (member: Member) => void
  readonly resume: (member: Member) => void
  /** Deals all partitions to those that are not gone; the others believe what they believed. */
  readonly assign: (to: readonly Member[]) => void
  readonly give: (member: Member, owned: readonly string[]) => void
  readonly revoke: () => void
  readonly renewals: () => number
  /** Moves on in small steps; in each, everybody works as it may. */
  readonly pass: (ms: number, each?: () => void) => Promise<void>
}

export const STEP_MS = 100
export const partitionKeys = Array.from({ length: 12 }, (_, index) => `pages/${index}`)

/** At every instant: before and after whatever happens to anybody. @throws when more is usable than there is. */
function check(fleet: Fleet) {
  const [usable, total] = [fleet.usable(), fleet.greatestTotal()]
  if (usable > total + 1e-6) throw new Error(`${usable} usable of ${total}`)
}

export function createFleet({ clock, kind, total, random, late = 0, maxWorkMs = 400 }: Options): Fleet {
  const table = createLeaseTableModel(clock.now)
  const members: Member[] = []
  const held = new Map<Member, (() => void)[]>()
  let renewals = 0

  function join(): Member {
    const id = members.length
    let atWork = 0
    let inUse = 0
    /** A stopped process runs what fell due meanwhile once it goes on; a dead one never. */
    const run = (call: () => void) => {
      if (member.state === 'dead') return
      if (member.state === 'stopped') return void held.get(member)!.push(() => run(call))
      check(fleet)
      call()
      check(fleet)
    }
    const own: Clock = { now: clock.now, after: (ms, call) => clock.after(ms, () => run(call)) }
    /** Now and then a message is so late that its answer does not count any more, and others overtake it. */
    const delay = () => Math.ceil(random() * (random() < late ? 4_000 : 5))
    const leases = createLeases({
      clock: own,
      monotonicNow: clock.now,
      holder: `member-${id}`,
      ownership: () => ({ owned: member.owned, of: partitionKeys.length }),
      logger: silent,
      random,
      table: {
        renew: (request) =>
          new Promise<LeaseAnswer>((resolve) => {
            renewals += 1
            clock.after(delay(), () => {
              if (!member.toTable) return
              const answer = table.renew(request)
              check(fleet)
              if (member.fromTable) clock.after(delay(), () => run(() => resolve(answer)))
            })
          }),
      },
    })
    const budget = leases.budget('budget', kind, total)
    const member: Member = {
      ...{ id, budget, leases, want: 0, weight: 1, total, owned: [], state: 'running', toTable: true, fromTable: true },
      atWork: () => (member.state === 'dead' ? 0 : atWork),
      work: () => {
        if (member.state !== 'running') return
        if (member.want > budget.allowed()) budget.hungry()
        while (kind === 'slots' && inUse < Math.min(member.want, budget.allowed())) {
          inUse += 1
          atWork += 1
          const tookMs = 1 + Math.floor(random() * maxWorkMs)
          clock.after(tookMs, () => (atWork -= 1))
          own.after(tookMs, () => {
            inUse -= 1
            member.work()
          })
        }
      },
    }
    held.set(member, [])
    budget.attach({ want: () => member.want, inUse: () => inUse, weight: () => member.weight })
    budget.onChange(() => member.work())
    members.push(member)
    leases.start()
    return member
  }
  const sumOf = (value: (member: Member) => number, of = members) => of.reduce((sum, member) => sum + value(member), 0)
  const running = () => members.filter(({ state }) => state === 'running')
  function give(member: Member, owned: readonly string[]) {
    if (member.state !== 'running') return
    member.owned = owned
    member.leases.ownershipChanged()
    check(fleet)
  }
  const fleet: Fleet = {
    members,
    usable: () => sumOf(({ budget }) => budget.allowed(), running()),
    atWork: () => sumOf((member) => member.atWork()),
    greatestTotal: () => Math.max(0, ...members.filter(({ state }) => state !== 'dead').map((member) => member.total)),
    held: () => table.sum('budget'),
    join,
    kill: (member) => {
      member.state = 'dead'
    },
    stop: (member) => {
      if (member.state === 'running') member.state = 'stopped'
    },
    resume: (member) => {
      if (member.state !== 'stopped') return
      member.state = 'running'
      check(fleet) // what it may use before it has run anything
      member.work()
      for (const call of held.get(member)!.splice(0)) call()
    },
    assign: (to) => {
      for (const member of running().filter((other) => !to.includes(other))) give(member, [])
      to.forEach((member, place) =>
        give(
          member,
          partitionKeys.filter((_, index) => index % to.length === place),
        ),
      )
    },
    revoke: () => {
      for (const member of running()) give(member, [])
    },
    give,
    renewals: () => renewals,
    pass: async (ms, each = () => {}) => {
      for (let passed = 0; passed < ms; passed += STEP_MS) {
        await clock.advance(STEP_MS)
        check(fleet)
        for (const member of members) member.work()
        check(fleet)
        each()
      }
    },
  }
  return fleet
}
