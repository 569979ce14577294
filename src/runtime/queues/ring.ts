/**
 * A first-in, first-out queue in a ring of slots. Both ends take constant time at any length, and
 * an empty ring has no slots. Mailboxes and the run queue are rings; most need only the smallest.
 */

const firstCapacity = 4

/**
 * An emptied ring larger than this frees its slots, so that one flood does not cost memory for
 * ever.
 */
const keptCapacity = 1_024

/** The slots of every empty ring: never written, because a ring grows before it takes anything. */
const noSlots = Object.freeze([]) as never[]

/** A queue of `T`. `undefined` cannot be queued: it is the result of an empty ring. */
export class Ring<T extends object> {
  #slots: (T | undefined)[] = noSlots
  #head = 0
  #length = 0

  /** The number of items. */
  get length(): number {
    return this.#length
  }

  /** Puts an item at the end. */
  push(item: T): void {
    if (this.#length === this.#slots.length) this.#grow()
    this.#slots[(this.#head + this.#length) & (this.#slots.length - 1)] = item
    this.#length++
  }

  /** Puts an item before all others. */
  unshift(item: T): void {
    if (this.#length === this.#slots.length) this.#grow()
    this.#head = (this.#head + this.#slots.length - 1) & (this.#slots.length - 1)
    this.#slots[this.#head] = item
    this.#length++
  }

  /** Takes the first item; `undefined` when there is none. */
  shift(): T | undefined {
    if (this.#length === 0) return undefined
    const item = this.#slots[this.#head]
    this.#slots[this.#head] = undefined
    this.#head = (this.#head + 1) & (this.#slots.length - 1)
    this.#length--
    if (this.#length === 0 && this.#slots.length > keptCapacity) this.clear()
    return item
  }

  /** The item that is `index` places after the first. */
  at(index: number): T | undefined {
    return index < this.#length
      ? this.#slots[(this.#head + index) & (this.#slots.length - 1)]
      : undefined
  }

  /** Exchanges the first item with the one `index` places after it. */
  swapToFront(index: number): void {
    const place = (this.#head + index) & (this.#slots.length - 1)
    const first = this.#slots[this.#head]
    this.#slots[this.#head] = this.#slots[place]
    this.#slots[place] = first
  }

  /**
   * Removes and returns the first item that `matches`. The others keep their order. Costs the items
   * before it.
   */
  remove(matches: (item: T) => boolean): T | undefined {
    const mask = this.#slots.length - 1
    for (let index = 0; index < this.#length; index++) {
      const found = this.#slots[(this.#head + index) & mask]
      if (found === undefined || !matches(found)) continue
      for (let place = index; place > 0; place--) {
        this.#slots[(this.#head + place) & mask] = this.#slots[(this.#head + place - 1) & mask]
      }
      this.shift()
      return found
    }
    return undefined
  }

  /** Removes all items that `matches`. The others keep their order. */
  removeAll(matches: (item: T) => boolean): void {
    for (let left = this.#length; left > 0; left--) {
      const item = this.shift()
      if (item !== undefined && !matches(item)) this.push(item)
    }
  }

  /** Moves all of `other`'s items, in their order, before this ring's own. */
  prepend(other: Ring<T>): void {
    for (let item = this.shift(); item !== undefined; item = this.shift()) other.push(item)
    this.#slots = other.#slots
    this.#head = other.#head
    this.#length = other.#length
    other.clear()
  }

  /** Removes all items and frees the slots. */
  clear(): void {
    this.#slots = noSlots
    this.#head = 0
    this.#length = 0
  }

  #grow(): void {
    const slots = new Array<T | undefined>(Math.max(firstCapacity, this.#slots.length * 2))
    const mask = this.#slots.length - 1
    for (let index = 0; index < this.#length; index++)
      slots[index] = this.#slots[(this.#head + index) & mask]
    this.#slots = slots
    this.#head = 0
  }
}
