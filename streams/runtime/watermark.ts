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
  /** Finished above the first unfinished one: what a crash would deliver again. */
  readonly ahead: () => number
  /** What `next` will be once these offsets are finished too. */
  readonly nextWith: (offsets: ReadonlySet<bigint>) => bigint
}

/** Passed ones are let go of in one piece: shifting each by itself would move all that follow it. */
const KEEP_PASSED = 1_024

/**
 * Two arrays with a head, not a Map: an iteration over a Map walks over what was deleted at its front, which with
 * thousands of records open costs more than all the rest of a record.
 */
export function createWatermark(start: bigint): Watermark {
  /** Begun, ascending; those before `head` are passed by the watermark. */
  let offsets: bigint[] = []
  let finished: boolean[] = []
  let head = 0
  let next = start

  /** Where the offset stands, or would stand. Mostly there are no gaps, and the first guess is right. */
  function indexOf(offset: bigint): number {
    let low = head
    let high = offsets.length
    if (low === high || offset > offsets[high - 1]!) return high
    const guess = low + Number(offset - offsets[low]!)
    if (offsets[guess] === offset) return guess
    while (low < high) {
      const middle = (low + high) >> 1
      if (offsets[middle]! < offset) low = middle + 1
      else high = middle
    }
    return low
  }
  function pass() {
    while (finished[head] === true) {
      next = offsets[head]! + 1n
      head += 1
    }
    if (head < KEEP_PASSED && head < offsets.length) return
    offsets = offsets.slice(head)
    finished = finished.slice(head)
    head = 0
  }
  return {
    begin: (offset) => {
      if (offset < next) return false
      const index = indexOf(offset)
      if (offsets[index] === offset) return !finished[index]
      if (index === offsets.length) {
        offsets.push(offset)
        finished.push(false)
      } else {
        offsets.splice(index, 0, offset)
        finished.splice(index, 0, false)
      }
      return true
    },
    finish: (offset) => {
      const index = indexOf(offset)
      if (offsets[index] !== offset) return
      finished[index] = true
      if (index === head) pass()
    },
    passTo: (offset) => {
      if (offsets.length === 0 && offset > next) next = offset
    },
    next: () => next,
    ahead: () => {
      let count = 0
      for (let index = head; index < finished.length; index += 1) if (finished[index]) count += 1
      return count
    },
    nextWith: (together) => {
      let result = next
      for (let index = head; index < offsets.length; index += 1) {
        const offset = offsets[index]!
        if (!finished[index] && !together.has(offset)) break
        result = offset + 1n
      }
      return result
    },
  }
}
