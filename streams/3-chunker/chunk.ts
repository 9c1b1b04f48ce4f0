/** Blocks → parents and children. Pure and deterministic: equal blocks and configuration give equal chunks. */
import type { Block } from '../../schemas/generated/types.ts'
import { cohesion } from './cohesion.ts'
import { layOut } from './layout.ts'
import type { Layout } from './layout.ts'
import { segment } from './segment.ts'
import type { Limits } from './segment.ts'
import { unitsOf } from './units.ts'
import type { Unit } from './units.ts'

export interface ChunkSizes {
  /** Tokens aimed at for a child: what is embedded and matched. The limit is a fifth above. */
  readonly childTokens: number
  /** Tokens aimed at for a parent: what a search returns. The limit is a fifth above. */
  readonly parentTokens: number
}

export interface Chunk {
  /** Position in the page's one sequence of parents and children, from 0 without gaps. */
  readonly index: number
  /** The index of its parent, always smaller than its own; null: this is a parent. */
  readonly parentIndex: number | null
  /** Headings that hold for all of it, outermost first. */
  readonly headingPath: readonly string[]
  /** A table's header row if the chunk continues a table, then the text from `start` to `end`. */
  readonly content: string
  /** UTF-16 offsets into the layout's text. */
  readonly start: number
  readonly end: number
  /** Tokens of `content` (cl100k_base). */
  readonly tokens: number
  /** Where, in `content`, the text below the headings that `headingPath` already names begins. */
  readonly bodyOffset: number
}

/** A fifth of slack lets cuts fall where the text has them. */
const LIMIT = 6 / 5
/** Cost of a cut through text that is one standard deviation more of a piece than the page's mean. */
const COHESION_COST = 0.2

/** Every parent is followed by its children; children cover the blocks' text once, in order, without overlap. */
export const chunkBlocks = (blocks: readonly Block[], sizes: ChunkSizes): Chunk[] => chunkLayout(layOut(blocks), sizes)

export function chunkLayout(layout: Layout, sizes: ChunkSizes): Chunk[] {
  const childLimit = Math.round(sizes.childTokens * LIMIT)
  const units = unitsOf(layout, childLimit)
  const children = group(layout.text, units, { aim: sizes.childTokens, limit: childLimit })
  const parents = groupOfGroups(children, {
    aim: sizes.parentTokens,
    limit: Math.round(sizes.parentTokens * LIMIT),
  })
  const chunks: Chunk[] = []
  for (const family of parents) {
    const parentIndex = chunks.length
    chunks.push(chunkOf(layout.text, family.flat(), parentIndex, null))
    for (const child of family) chunks.push(chunkOf(layout.text, child, chunks.length, parentIndex))
  }
  return chunks
}

function group(text: string, units: readonly Unit[], limits: Limits): Unit[][] {
  const together = cohesion(text, units)
  const row = {
    length: units.length,
    size: (i: number) => units[i]?.tokens ?? 0,
    cut: (i: number) => (units[i]?.cut ?? 0) + COHESION_COST * (together[i] ?? 0),
    repeated: (i: number) => units[i]?.header?.tokens ?? 0,
  }
  return slices(units, segment(row, limits))
}

function groupOfGroups(children: readonly Unit[][], limits: Limits): Unit[][][] {
  const tokens = children.map((units) => units.reduce((sum, unit) => sum + unit.tokens, 0))
  const row = {
    length: children.length,
    size: (i: number) => tokens[i] ?? 0,
    cut: (i: number) => children[i]?.[0]?.cut ?? 0,
    repeated: (i: number) => children[i]?.[0]?.header?.tokens ?? 0,
  }
  return slices(children, segment(row, limits))
}

const slices = <T>(items: readonly T[], starts: readonly number[]): T[][] =>
  starts.map((start, i) => items.slice(start, starts[i + 1] ?? items.length))

function chunkOf(text: string, units: readonly Unit[], index: number, parentIndex: number | null): Chunk {
  const first = units[0] as Unit
  const start = first.start
  const end = (units.at(-1) as Unit).end
  const header = first.header ? `${text.slice(first.header.start, first.header.end)}\n` : ''
  const headingPath = commonPath(units)
  const body = units.find((unit) => !unit.heading || !isPrefix(unit.path, headingPath))
  return {
    index,
    parentIndex,
    headingPath,
    content: header + text.slice(start, end),
    start,
    end,
    tokens: units.reduce((sum, unit) => sum + unit.tokens, first.header?.tokens ?? 0),
    bodyOffset: body && header === '' ? body.start - start : 0,
  }
}

/** The headings shared by all text of a chunk; headings themselves count only where there is nothing else. */
function commonPath(units: readonly Unit[]): readonly string[] {
  const text = units.filter((unit) => !unit.heading)
  const paths = (text.length > 0 ? text : units).map((unit) => unit.path)
  return paths.reduce((common, path) => {
    if (common === path) return common
    const differs = common.findIndex((heading, i) => heading !== path[i])
    return differs === -1 ? common : common.slice(0, differs)
  })
}

const isPrefix = (path: readonly string[], of: readonly string[]) => path.every((heading, i) => heading === of[i])
