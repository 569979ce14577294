/**
 * The work of a durable actor beside its mailbox. Each work is a bare process that is linked to the
 * actor: it begins when the turn that asked for it is durable, its crash ends the actor, and it does
 * not outlive the actor. It changes the state by `apply` alone, which is a call of this life of the
 * actor: the next life never gets it.
 */
import { type AnyContext, call, type Process, processOf } from '../../runtime/index.ts'
import type { Change } from '../turns/turn-run.ts'
import type { Idleness } from './idleness.ts'

/** A function that works in the background, without its types. */
export type Work = (life: object) => unknown

/** What the work of an actor needs of it. */
interface Owner {
  readonly context: AnyContext
  readonly idleness: Idleness
}

/** The background work of one actor. */
export class Background {
  readonly #owner: Owner
  readonly #working = new Set<Process>()

  constructor(owner: Owner) {
    this.#owner = owner
  }

  /** Lets `work` begin with the present turn. The actor does not rest before it has ended. */
  begin(work: Work): void {
    const { self } = this.#owner.context
    const ref = this.#owner.context.spawnLink(
      async (context) => {
        const owner = context.to(self as never)
        const apply = (change: Change): Promise<unknown> =>
          call(owner, '$apply' as never, change as never, patiently as never)
        await work(Object.assign(context, { apply }))
        // An actor that traps exits hears of failures alone.
        context.unlink(self)
      },
      { label: `background of ${processOf(this.#owner.context)}` },
    )
    const process = processOf({ self: ref as never })
    this.#working.add(process)
    this.#owner.idleness.piped(
      new Promise<void>((resolve) => {
        this.#owner.context.system.monitor(ref, () => {
          this.#working.delete(process)
          resolve()
        })
      }),
    )
  }

  /** The actor has ended, and so does its work. */
  end(): void {
    for (const process of this.#working) process.end('shutdown')
  }
}

/** The end of either side ends the wait. */
const patiently = { timeoutMs: Number.POSITIVE_INFINITY }
