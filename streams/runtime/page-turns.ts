/**
 * The order of a page's records within a partition: one at a time. Those whose turn has not come stand here, without a
 * place at the gate: many versions of one page would else take all the places of a stage.
 */
import type { RawRecord } from './settle.ts'

export interface PageTurns {
  /** In order of the log. false: another record of its page is worked on, and this one stands here until it is called. */
  readonly enter: (page: string, raw: RawRecord) => boolean
  /** As which page it stood here, should it be unreadable when it comes again. */
  readonly knownAs: (raw: RawRecord) => string | undefined
  /** An earlier record of its page was put back and has not come again: this one must be put back too. */
  readonly isBehind: (page: string, raw: RawRecord) => boolean
  /** It is done. @returns the next one of its page, which may ask for a place again. */
  readonly done: (page: string, raw: RawRecord) => RawRecord | undefined
  /** It could not be done and comes again. @returns those that stood behind it, which come again after it. */
  readonly putBack: (page: string, raw: RawRecord) => readonly RawRecord[]
}

const none: readonly RawRecord[] = []

export function createPageTurns(): PageTurns {
  const busy = new Set<string>()
  const behind = new Map<string, RawRecord[]>()
  /** Whose turn it is: until it comes, others of its page that come first stand behind it. */
  const called = new Map<string, bigint>()
  const stoodAs = new Map<bigint, string>()
  const returned = new Map<string, Set<bigint>>()
  /** Under which page: one that could not be decoded then had none. */
  const returnedAs = new Map<bigint, string>()

  function forgetReturned(page: string, offset: bigint) {
    const ofPage = returned.get(page)
    ofPage?.delete(offset)
    if (ofPage?.size === 0) returned.delete(page)
  }
  function stand(page: string, raw: RawRecord) {
    const line = behind.get(page)
    if (line) line.push(raw)
    else behind.set(page, [raw])
    stoodAs.set(raw.offset, page)
  }
  function next(page: string): RawRecord | undefined {
    const line = behind.get(page)
    const first = line?.shift()
    if (line?.length === 0) behind.delete(page)
    return first
  }
  return {
    enter: (page, raw) => {
      const mayRun = !busy.has(page) || called.get(page) === raw.offset
      if (!mayRun) stand(page, raw)
      else if (busy.has(page)) called.delete(page)
      else busy.add(page)
      return mayRun
    },
    knownAs: ({ offset }) => stoodAs.get(offset),
    isBehind: (page, { offset }) => {
      const before = returnedAs.get(offset)
      if (before !== undefined && before !== page) forgetReturned(before, offset)
      const ofPage = returned.get(page)
      if (!ofPage) return false
      for (const earlier of ofPage) if (earlier < offset) return true
      forgetReturned(page, offset)
      return false
    },
    done: (page, { offset }) => {
      returnedAs.delete(offset)
      stoodAs.delete(offset)
      const first = behind.size === 0 ? undefined : next(page)
      if (first) called.set(page, first.offset)
      else busy.delete(page)
      return first
    },
    putBack: (page, { offset }) => {
      const ofPage = returned.get(page) ?? new Set()
      returned.set(page, ofPage.add(offset))
      returnedAs.set(offset, page)
      busy.delete(page)
      const line = behind.get(page)
      behind.delete(page)
      return line ?? none
    },
  }
}
