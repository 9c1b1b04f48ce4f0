/** `--from` and `--to`: an offset, a moment, how long ago, the beginning or now; and what they are in each partition. */
import kafkajs from 'kafkajs'
import type { Admin } from 'kafkajs'
import { fetchBounds } from '../../connectors/kafka/bounds.ts'
import type { Bounds } from '../../connectors/kafka/bounds.ts'
import { UserError } from '../../streams/errors.ts'
import type { Range } from '../../streams/runtime/replay.ts'

export type Position =
  | { readonly kind: 'offset'; readonly offset: bigint }
  | { readonly kind: 'time'; readonly ms: number }
  | { readonly kind: 'beginning' }
  | { readonly kind: 'now' }

const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
/** Without a zone a time means another moment on another machine. */
const ISO = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/
const HINT =
  'An offset (4200), a time (2026-01-31, that is 0:00 UTC, or 2026-01-31T09:30:00Z), how long ago (90m, 6h, 7d), beginning or now.'

/** @throws UserError for what is none of these. */
export function parsePosition(text: string, option: string, nowMs = Date.now()): Position {
  if (text === 'beginning' || text === 'now') return { kind: text }
  if (/^\d+$/.test(text)) return { kind: 'offset', offset: BigInt(text) }
  const ago = /^(\d{1,6})([smhd])$/.exec(text)
  if (ago) return { kind: 'time', ms: nowMs - Number(ago[1]) * UNIT_MS[ago[2] as keyof typeof UNIT_MS] }
  const ms = ISO.test(text) ? Date.parse(text) : NaN
  if (!Number.isNaN(ms)) return { kind: 'time', ms }
  throw new UserError(`${option}: "${text}" is neither an offset nor a time`, HINT, 2)
}

export interface Wanted {
  readonly from: Position
  readonly to: Position
  readonly partition: number | null
  readonly tenant: string | null
}

/** Per partition, within what the log holds now. `expired`: asked for and gone, by partition. */
export interface ResolvedRanges {
  readonly ranges: ReadonlyMap<number, Range>
  readonly expired: ReadonlyMap<number, bigint>
}

/** @throws UserError when the topic has no such partition. */
export async function resolveRanges(admin: Admin, topic: string, wanted: Wanted): Promise<ResolvedRanges> {
  const all = await fetchBounds(admin, topic)
  const only = wanted.partition ?? (wanted.tenant === null ? null : partitionOf(wanted.tenant, all.length))
  const bounds = all.filter(({ partition }) => only === null || partition === only)
  if (bounds.length === 0) throw noPartition(topic, only!, all.length)
  const [from, to] = [await resolve(admin, topic, wanted.from, bounds), await resolve(admin, topic, wanted.to, bounds)]
  const ranges = new Map<number, Range>()
  const expired = new Map<number, bigint>()
  for (const { partition, low } of bounds) {
    const range = { from: from.get(partition)!, to: to.get(partition)! }
    if (range.from < range.to) ranges.set(partition, range)
    if (wanted.from.kind === 'offset' && wanted.from.offset < low) expired.set(partition, low)
  }
  return { ranges, expired }
}

/** One offset a partition; what lies outside of the log becomes its nearest end. */
export async function resolve(
  admin: Admin,
  topic: string,
  position: Position,
  bounds: readonly Bounds[],
): Promise<Map<number, bigint>> {
  const found = position.kind === 'time' ? await offsetsAt(admin, topic, position.ms) : undefined
  return new Map(
    bounds.map(({ partition, low, high }) => {
      if (position.kind === 'beginning') return [partition, low]
      if (position.kind === 'now') return [partition, high]
      const offset = position.kind === 'offset' ? position.offset : (found!.get(partition) ?? high)
      return [partition, offset < low ? low : offset > high ? high : offset]
    }),
  )
}

/** The first record of each partition whose timestamp is not before `ms`; the end where there is none. */
async function offsetsAt(admin: Admin, topic: string, ms: number): Promise<Map<number, bigint>> {
  const offsets = await admin.fetchTopicOffsetsByTimestamp(topic, ms)
  return new Map(offsets.map(({ partition, offset }) => [partition, BigInt(offset)]))
}

/** By the partitioner that every producer of the pipeline uses: murmur2 of the key. */
export function partitionOf(tenant: string, partitions: number): number {
  const partitionMetadata = Array.from({ length: partitions }, (_, partitionId) => ({
    partitionId,
    leader: 0,
  })) as never
  return kafkajs.Partitioners.DefaultPartitioner()({
    ...{ topic: '', partitionMetadata, message: { key: tenant, value: null } },
  })
}

const noPartition = (topic: string, partition: number, count: number) =>
  new UserError(`${topic} has no partition ${partition}`, `It has ${count}, numbered from 0.`, 2)
