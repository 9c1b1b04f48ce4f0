/**
 * Records of one partition that were fetched and are not settled yet. By tenant, in order of their offsets: whoever runs
 * dry of one tenant's turn finds the next tenant's record here, however many of a flooding tenant lie before it in the
 * log. How far ahead that can be is the window's bound.
 */
import type { RawRecord } from './settle.ts'

/**
 * The bound of the look-ahead. One partition: what a tenant that floods can put before its neighbours without holding
 * them up. All partitions of a stage in this process: memory; beyond it each keeps its least.
 */
export const WINDOW = {
  maxRecords: 10_000,
  maxBytes: 32 * 1024 * 1024,
  maxBytesInAll: 128 * 1024 * 1024,
  leastBytes: 1024 * 1024,
} as const

/** Bytes in the windows of all partitions of one stage. */
export interface WindowSpace {
  bytes: number
}

export interface Window {
  /** `readyAtMs` in the future: it waits aside, and holds up nobody of its tenant behind it. */
  readonly add: (raw: RawRecord, readyAtMs: number) => void
  /** Tenants with a record to start, in the order of their arrival. */
  readonly tenants: () => Iterable<string>
  readonly head: (tenant: string) => RawRecord | undefined
  readonly take: (tenant: string) => RawRecord | undefined
  /** It was taken and could not be finished: its turn comes again, before what follows it in the log. */
  readonly putBack: (raw: RawRecord) => void
  /** Settled, or its partition was lost: its memory is free. */
  readonly forget: (raw: RawRecord) => void
  /** Those that wait aside and are due. @returns when the next one is, if any. */
  readonly wake: (nowMs: number) => number | undefined
  readonly isFull: () => boolean
  /** Far enough below the bound that fetching again is worth it. */
  readonly hasRoom: () => boolean
  /** Not settled: waiting, aside or under way. */
  readonly held: () => number
  readonly close: () => void
}

interface Queue {
  /** Those before `first` are taken, and let go of. */
  items: (RawRecord | undefined)[]
  first: number
}

export const bytesOf = ({ value }: RawRecord): number => (value?.length ?? 0) + 200

export function createWindow(space: WindowSpace, bound: typeof WINDOW = WINDOW): Window {
  const queues = new Map<string, Queue>()
  let aside: { raw: RawRecord; readyAtMs: number }[] = []
  let bytes = 0
  let held = 0
  /** What is under way when the partition is lost may end later: its bytes were given back already. */
  let closed = false

  function insert(raw: RawRecord) {
    const queue = queues.get(raw.tenantId)
    if (!queue) return void queues.set(raw.tenantId, { items: [raw], first: 0 })
    const { items, first } = queue
    const last = items.at(-1)
    if (!last || last.offset < raw.offset) return void items.push(raw)
    // Put back, or woken: few, and near the front.
    const at = items.findIndex((one, index) => index >= first && one!.offset > raw.offset)
    items.splice(at, 0, raw)
  }
  const fill = (part: number) =>
    held >= bound.maxRecords * part ||
    bytes >= bound.maxBytes * part ||
    (space.bytes >= bound.maxBytesInAll * part && bytes >= bound.leastBytes * part)

  return {
    add: (raw, readyAtMs) => {
      held += 1
      bytes += bytesOf(raw)
      space.bytes += bytesOf(raw)
      if (readyAtMs > 0) aside.push({ raw, readyAtMs })
      else insert(raw)
    },
    tenants: () => queues.keys(),
    head: (tenant) => {
      const queue = queues.get(tenant)
      return queue?.items[queue.first]
    },
    take: (tenant) => {
      const queue = queues.get(tenant)
      if (!queue) return undefined
      const raw = queue.items[queue.first]!
      queue.items[queue.first] = undefined
      queue.first += 1
      if (queue.first === queue.items.length) queues.delete(tenant)
      else if (queue.first > 64) {
        queue.items = queue.items.slice(queue.first)
        queue.first = 0
      }
      return raw
    },
    putBack: (raw) => {
      if (!closed) insert(raw)
    },
    forget: (raw) => {
      if (closed) return
      held -= 1
      bytes -= bytesOf(raw)
      space.bytes -= bytesOf(raw)
    },
    wake: (nowMs) => {
      for (const { raw, readyAtMs } of aside) if (readyAtMs <= nowMs) insert(raw)
      aside = aside.filter(({ readyAtMs }) => readyAtMs > nowMs)
      return aside.length === 0
        ? undefined
        : aside.reduce((least, { readyAtMs }) => Math.min(least, readyAtMs), Infinity)
    },
    isFull: () => fill(1),
    hasRoom: () => !fill(0.5),
    held: () => held,
    close: () => {
      closed = true
      space.bytes -= bytes
      bytes = 0
      held = 0
      queues.clear()
      aside = []
    },
  }
}
