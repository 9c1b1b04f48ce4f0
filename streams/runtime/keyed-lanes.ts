/** Runs tasks of one key one after the other, in order, and those of different keys beside each other. */
export interface KeyedLanes {
  readonly run: (key: string, task: () => Promise<void>) => Promise<void>
}

export function createKeyedLanes(): KeyedLanes {
  const tails = new Map<string, Promise<void>>()
  return {
    run: (key, task) => {
      const before = tails.get(key)
      const mine = before ? before.then(task, task) : task()
      tails.set(key, mine)
      const leave = () => {
        if (tails.get(key) === mine) tails.delete(key)
      }
      mine.then(leave, leave) // before whatever the caller awaits; its failure is the caller's to hear
      return mine
    },
  }
}
