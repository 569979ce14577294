/**
 * The live processes of a System in the order of their start, as a list linked through the
 * processes. A map would leave old hash tables full of ended processes. Until the next full
 * collection these keep all garbage reachable from them alive.
 */

/** A member of the list. The list owns both fields; a member is in one list at a time. */
export interface Listed<T> {
  before: T | undefined
  after: T | undefined
}

/** A list in order of arrival. Adding and removing take constant time. */
export class ProcessList<T extends Listed<T>> {
  #first: T | undefined = undefined
  #last: T | undefined = undefined

  /** Puts `member` at the end. It must not be in a list. */
  add(member: T): void {
    member.before = this.#last
    if (this.#last === undefined) this.#first = member
    else this.#last.after = member
    this.#last = member
  }

  /**
   * Removes `member`, which must be in this list. It keeps no reference to a neighbour: a dead
   * process must not hold a live one.
   */
  remove(member: T): void {
    const { before, after } = member
    if (before === undefined) this.#first = after
    else before.after = after
    if (after === undefined) this.#last = before
    else after.before = before
    member.before = undefined
    member.after = undefined
  }

  get first(): T | undefined {
    return this.#first
  }

  get last(): T | undefined {
    return this.#last
  }

  /** The present members. */
  all(): T[] {
    const members: T[] = []
    for (let member = this.#first; member !== undefined; member = member.after) members.push(member)
    return members
  }
}
