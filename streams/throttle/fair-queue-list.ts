/** A doubly linked list whose items carry their own links: a waiter leaves from any place in O(1). */
export interface Linked<Item> {
  previous?: Item | undefined
  next?: Item | undefined
}

export interface List<Item> {
  readonly first: () => Item | undefined
  readonly add: (item: Item) => void
  /** Only what is in this list. */
  readonly remove: (item: Item) => void
}

export function createList<Item extends Linked<Item>>(): List<Item> {
  let first: Item | undefined
  let last: Item | undefined

  return {
    first: () => first,
    add: (item) => {
      item.previous = last
      item.next = undefined
      if (last) last.next = item
      else first = item
      last = item
    },
    remove: ({ previous, next }) => {
      if (previous) previous.next = next
      else first = next
      if (next) next.previous = previous
      else last = previous
    },
  }
}
