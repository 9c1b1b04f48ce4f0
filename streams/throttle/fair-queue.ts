/**
 * Whose turn it is: deficit round-robin on cost over the tenants that have work waiting, live before replay.
 *
 * Every tenant gets QUANTUM of cost a round and is served while that covers the first of its line. Rounds in which a
 * dear head would only save up are not walked through: a line stands in the round in which its head is covered, so each
 * operation is O(1) with thousands of tenants (finding the next round skips at most MAX_ROUNDS empty ones).
 *
 * Bound: before a head of cost c is served, any other tenant is served at most
 * (ceil(c / QUANTUM) + 1) × QUANTUM + M of cost, M being the largest cost (capped at MAX_COST). A quantum as large as
 * the largest head, the usual choice, would let 300 small records of one tenant pass in a row because one large exists.
 */
import { createList } from './fair-queue-list.ts'
import type { Linked, List } from './fair-queue-list.ts'
import type { Lane } from './ports.ts'

/** About one record of 4 kB, in tokens; as long as all costs were less, the largest of them: turns stay short. */
export const QUANTUM = 1000
const MAX_ROUNDS = 300
/** What costs more counts as this: the largest request that the embeddings API takes. */
export const MAX_COST = QUANTUM * MAX_ROUNDS
/** Replay's part of the cost that is served while both lanes have work: so that a replay ends. */
export const REPLAY_FLOOR = 1 / 20

export interface Entry<Item> extends Linked<Entry<Item>> {
  readonly item: Item
  readonly cost: number
  readonly line: Line<Item>
}
/** One tenant's work in one lane, first come first served. */
export interface Line<Item> extends Linked<Line<Item>> {
  readonly tenantId: string
  readonly lane: Lane
  readonly entries: List<Entry<Item>>
  count: number
  /** Cost it may be served in `round`, saved up from the rounds before. */
  deficit: number
  round: number
  /** Not eligible for now: in no round, saves up nothing. */
  held: boolean
}

export interface FairQueue<Item> {
  readonly add: (tenantId: string, lane: Lane, cost: number, item: Item) => Entry<Item>
  /** Whose turn it is among those that are not held. The same one until it is served, removed or held, or live comes. */
  readonly head: () => Entry<Item> | undefined
  /** The head leaves and is charged. */
  readonly serve: (head: Entry<Item>) => void
  /** Wherever it stands; it costs its tenant nothing. */
  readonly remove: (entry: Entry<Item>) => void
  /** Passed over until `ready`; keeps its place in its own line and what it has saved up. */
  readonly hold: (line: Line<Item>) => void
  readonly ready: (line: Line<Item>) => void
  readonly line: (tenantId: string, lane: Lane) => Line<Item> | undefined
  readonly size: () => number
  /** Lines that are not held. */
  readonly eligible: () => number
  readonly lines: () => Iterable<Line<Item>>
}

export function createFairQueue<Item>(): FairQueue<Item> {
  const lanes = { live: createRounds<Item>(), replay: createRounds<Item>() }
  let size = 0
  /** Cost that replay may be served before live goes on. */
  let replayDue = 0

  function leave(entry: Entry<Item>) {
    entry.line.entries.remove(entry)
    entry.line.count -= 1
    size -= 1
  }
  return {
    add: (tenantId, lane, cost, item) => {
      size += 1
      return lanes[lane].add(tenantId, lane, Math.min(Math.max(cost, 1), MAX_COST), item)
    },
    head: () => {
      const live = lanes.live.head()
      const replay = lanes.replay.head()
      return live && (!replay || replayDue < replay.cost) ? live : replay
    },
    serve: (head) => {
      const replayWaits = lanes.replay.eligible() > 0
      const liveWaits = lanes.live.eligible() > 0
      if (!replayWaits || !liveWaits) replayDue = 0
      else if (head.line.lane === 'replay') replayDue -= head.cost
      else replayDue += head.cost * (REPLAY_FLOOR / (1 - REPLAY_FLOOR))
      leave(head)
      lanes[head.line.lane].served(head)
    },
    remove: (entry) => {
      const wasFirst = entry.line.entries.first() === entry
      leave(entry)
      if (wasFirst) lanes[entry.line.lane].changed(entry.line)
    },
    hold: (line) => lanes[line.lane].hold(line),
    ready: (line) => lanes[line.lane].ready(line),
    line: (tenantId, lane) => lanes[lane].line(tenantId),
    size: () => size,
    eligible: () => lanes.live.eligible() + lanes.replay.eligible(),
    lines: function* () {
      yield* lanes.live.lines()
      yield* lanes.replay.lines()
    },
  }
}

/** One lane. Nobody joins the round that is being served, so that newcomers cannot keep the next one from coming. */
function createRounds<Item>() {
  const lines = new Map<string, Line<Item>>()
  const rounds = new Map<number, List<Line<Item>>>()
  let current = 0
  let eligible = 0
  let quantum = 1

  /** Into the round in which its head is covered. */
  function enter(line: Line<Item>, from: number) {
    const missing = line.entries.first()!.cost - line.deficit
    const wait = Math.max(0, Math.ceil(missing / quantum))
    line.deficit += wait * quantum
    line.round = from + wait
    let round = rounds.get(line.round)
    if (!round) rounds.set(line.round, (round = createList()))
    round.add(line)
    eligible += 1
  }
  function exit(line: Line<Item>) {
    const round = rounds.get(line.round)!
    round.remove(line)
    if (!round.first()) rounds.delete(line.round)
    eligible -= 1
  }
  function forgetIfEmpty(line: Line<Item>): boolean {
    if (line.entries.first()) return false
    if (!line.held) exit(line)
    return lines.delete(line.tenantId)
  }
  return {
    add: (tenantId: string, lane: Lane, cost: number, item: Item) => {
      quantum = Math.min(QUANTUM, Math.max(quantum, cost))
      const before = lines.get(tenantId)
      const line: Line<Item> = before ?? {
        tenantId,
        lane,
        entries: createList(),
        count: 0,
        deficit: 0,
        round: 0,
        held: false,
      }
      const entry: Entry<Item> = { item, cost, line }
      line.entries.add(entry)
      line.count += 1
      if (before) return entry
      lines.set(tenantId, line)
      line.deficit = quantum // of the next round
      enter(line, current + 1)
      return entry
    },
    head: (): Entry<Item> | undefined => {
      if (eligible === 0) return undefined
      while (!rounds.has(current)) current += 1
      return rounds.get(current)!.first()!.entries.first()
    },
    served: ({ line, cost }: Entry<Item>) => {
      line.deficit -= cost
      if (forgetIfEmpty(line)) return
      if (line.entries.first()!.cost <= line.deficit) return // its turn goes on
      exit(line)
      enter(line, current)
    },
    /** Its first one went away unserved: what was granted for it is given up as far as the next does not need it. */
    changed: (line: Line<Item>) => {
      if (forgetIfEmpty(line) || line.held) return
      const spare = Math.max(0, Math.floor((line.deficit - line.entries.first()!.cost) / quantum))
      const back = Math.min(line.round - current, spare)
      exit(line)
      line.deficit -= back * quantum
      enter(line, line.round - back)
    },
    hold: (line: Line<Item>) => {
      if (line.held) return
      exit(line)
      line.held = true
    },
    ready: (line: Line<Item>) => {
      if (!line.held) return
      line.held = false
      if (line.entries.first()) enter(line, Math.max(current, line.round))
    },
    line: (tenantId: string) => lines.get(tenantId),
    eligible: () => eligible,
    lines: () => lines.values(),
  }
}
