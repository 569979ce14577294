/**
 * The processes of a System that live, in the order of their start: a list through the processes themselves. A map would
 * leave its outgrown tables behind, full of processes that have ended, and until the next full collection those keep
 * every garbage process alive that the young generation could have dropped.
 */

/** What can be in the list. The list owns both fields; a member is in one list at a time. */
export interface Listed<T> {
  before: T | undefined
  after: T | undefined
}

/** A list in order of arrival, with joining and leaving in constant time. */
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

  /** Takes `member` out; it must be in this list. It keeps no neighbour: a dead one must not hold a living one. */
  remove(member: T): void {
    const { before, after } = member
    if (before === undefined) this.#first = after
    else before.after = after
    if (after === undefined) this.#last = before
    else after.before = before
    member.before = undefined
    member.after = undefined
  }

  /** Who is in it now. */
  all(): T[] {
    const members: T[] = []
    for (let member = this.#first; member !== undefined; member = member.after) members.push(member)
    return members
  }
}
