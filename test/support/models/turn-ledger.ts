/**
 * What turns of durable actors have asked for with `flow(context)`, and batches of the store by `with`:
 * it comes about if the turn or the batch is durable, once, and in its order. Each order is one call of
 * an actor or one batch, which starts a run, sends words to it and adds jobs.
 */

/** What the turn of an order asks for. */
export type Order = {
  readonly id: string
  /** The actor that takes it, or that it is a batch. */
  readonly shop: string
  /** It is refused after it has asked: its handler throws. */
  readonly refuses: boolean
  readonly words: readonly string[]
  readonly jobs: number
}

/** What the world has seen of an order. */
type Seen = Order & {
  isSure: boolean
  /** The keys of the tries of each of its jobs, in the order in which they began. */
  readonly jobKeys: Map<number, string>
  /** The keys of the step of its run. */
  readonly heard: Map<string, string>
}

/** What happened to orders. */
export class TurnLedger {
  readonly wrong: string[] = []
  readonly #orders = new Map<string, Seen>()

  /** An order is given, perhaps once more. */
  orders(order: Order): void {
    if (this.#orders.has(order.id)) return
    this.#orders.set(order.id, { ...order, isSure: false, jobKeys: new Map(), heard: new Map() })
  }

  /** The orders that have no answer. */
  get open(): readonly Order[] {
    return [...this.#orders.values()].filter(({ isSure, refuses }) => !isSure && !refuses)
  }

  /** An order is answered. */
  ordered(id: string): void {
    this.#of(id).isSure = true
  }

  /** The job `at` of an order runs. */
  runs(id: string, at: number, key: string): void {
    const { jobKeys } = this.#of(id)
    const known = jobKeys.get(at)
    if (known !== undefined && known !== key) this.#fails(id, `has its job ${at} twice`)
    const later = [...jobKeys.keys()].find((other) => other > at)
    if (known === undefined && later !== undefined)
      this.#fails(id, `begins job ${later}, then ${at}`)
    jobKeys.set(at, known ?? key)
  }

  /** The run of an order has heard its words. */
  hears(id: string, words: string, key: string): void {
    const { heard, words: given } = this.#of(id)
    if (words !== given.join(' ')) this.#fails(id, `has heard ${words}, and not ${given.join(' ')}`)
    heard.set(key, words)
    if (heard.size > 1) this.#fails(id, 'has two runs')
  }

  /** Whether everything has come about that these orders have asked for. */
  isComplete(durable: ReadonlySet<string>): boolean {
    return [...this.#orders.values()].every(
      ({ id, jobs, jobKeys, heard }) =>
        !durable.has(id) || (jobKeys.size >= jobs && heard.size > 0),
    )
  }

  /** Judges the end of all lives. `durable`: the orders whose turns are durable. */
  judgeEnd(durable: ReadonlySet<string>, statusOf: (id: string) => string | undefined): void {
    for (const [id, { isSure, jobs, jobKeys, heard, refuses }] of this.#orders) {
      const isThere = durable.has(id)
      if (isSure && !isThere) this.#fails(id, 'was answered, and is lost')
      if (refuses && isThere) this.#fails(id, 'is durable, though its handler threw')
      const [status, expected] = [statusOf(id), isThere ? 'completed' : undefined]
      if (status !== expected) this.#fails(id, `has a run that is ${status}, and not ${expected}`)
      const [came, all] = [jobKeys.size, isThere ? jobs : 0]
      if (came !== all) this.#fails(id, `has ${came} jobs, and not ${all}`)
      if (isThere && heard.size === 0) this.#fails(id, 'has heard nothing')
    }
  }

  #of(id: string): Seen {
    const found = this.#orders.get(id)
    if (!found) throw new Error(`the order ${id} was never given`)
    return found
  }

  #fails(id: string, text: string): void {
    this.wrong.push(`W1: the order ${id} ${text}`)
  }
}
