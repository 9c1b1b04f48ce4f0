/**
 * Contiguous watermark of one partition during one assignment: records finish in any order, but only what lies below the
 * first unfinished one may be committed. Offsets may have gaps (control records): only those that began count.
 */
export interface Watermark {
  /**
   * A record is about to be worked on. false: it was finished before (a time slice ended with older ones unfinished, so
   * the broker delivers the rest again): skip it. Records begin in ascending order.
   */
  readonly begin: (offset: bigint) => boolean
  readonly finish: (offset: bigint) => void
  /** Nothing lies between `next` and this offset but what a consumer never sees (control records). */
  readonly passTo: (offset: bigint) => void
  /** Next offset to process: everything below is finished. */
  readonly next: () => bigint
  /** What `next` will be once these offsets are finished too. */
  readonly nextWith: (offsets: ReadonlySet<bigint>) => bigint
}

export function createWatermark(start: bigint): Watermark {
  /** Begun and not yet passed by the watermark, ascending by insertion; true: finished. */
  const open = new Map<bigint, boolean>()
  let next = start

  return {
    begin: (offset) => {
      if (offset < next || open.get(offset) === true) return false
      open.set(offset, false)
      return true
    },
    finish: (offset) => {
      if (!open.has(offset)) return
      open.set(offset, true)
      for (const [first, finished] of open) {
        if (!finished) return
        next = first + 1n
        open.delete(first)
      }
    },
    passTo: (offset) => {
      if (open.size === 0 && offset > next) next = offset
    },
    next: () => next,
    nextWith: (offsets) => {
      let result = next
      for (const [offset, finished] of open) {
        if (!finished && !offsets.has(offset)) break
        result = offset + 1n
      }
      return result
    },
  }
}
