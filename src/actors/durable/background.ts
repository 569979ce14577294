/**
 * The work of a durable actor beside its mailbox. Each work is a bare process that is linked to the
 * actor: it begins when the turn that asked for it is durable, its crash ends the actor, and it does
 * not outlive the actor. It changes the state by `apply` alone, which is a call of this life of the
 * actor: the next life never gets it.
 */
import { call, type Process, processOf } from '../../runtime/index.ts'
import type { Handled, Work } from '../turns/actor-work.ts'
import { ownTime, ownWork } from '../turns/durable-server.ts'
import type { Change, Run } from '../turns/turn-run.ts'
import type { DurableTerms } from './durable-terms.ts'
import type { Idleness } from './idleness.ts'
import type { SharedContext } from './try-context.ts'

/** A function that works in the background, without its types. */
export type Body = (life: object) => unknown

/** The background work of one actor. */
export class Background {
  readonly #terms: DurableTerms
  readonly #context: SharedContext
  readonly #idleness: Pick<Idleness, 'holds' | 'lets'>
  // Most actors never have work: the lists are made on first use.
  #working: Set<Process> | undefined
  /** The background work that runs, with that of steps, alarms and promises of its machine. */
  #running: Set<Work> | undefined
  /** The message whose handler is pending. */
  #handled: Handled | undefined

  constructor(
    terms: DurableTerms,
    context: SharedContext,
    idleness: Pick<Idleness, 'holds' | 'lets'>,
  ) {
    this.#terms = terms
    this.#context = context
    this.#idleness = idleness
  }

  /** Lets `body` begin with the present turn. The actor does not rest before it has ended. */
  begin(body: Body): void {
    const context = this.#context
    const { work: works, identity, shard } = this.#terms
    let work: Work | undefined
    const ref = context.spawnLink(
      async (own) => {
        if (!works.mayBegin) return
        const noted = this.#begins('background')
        work = noted
        const owner = own.to(context.self)
        const apply = (change: Change): Promise<unknown> => call(owner, '$apply', change, patiently)
        const consistsOf = (pieces: Work['pieces']): void => {
          noted.pieces = pieces
        }
        const parts = { apply, consistsOf, [ownWork]: noted, [ownTime]: shard.time }
        const life = Object.assign(own, parts)
        await body(Object.defineProperty(life, 'closing', closing))
        // An actor that traps exits hears of failures alone.
        own.unlink(context.self)
      },
      { label: `background of ${identity.entity}` },
    )
    const process = processOf({ self: ref })
    this.#working ??= new Set()
    this.#working.add(process)
    this.#idleness.holds()
    context.system.monitor(ref, () => {
      this.#working?.delete(process)
      if (work) this.#settled(work)
      this.#idleness.lets()
    })
  }

  /** A turn whose handler is pending: a close waits for that of a step or an alarm. */
  during<T>({ isRecorded, what }: Run, turn: Promise<T>): Promise<T> {
    if (!isRecorded) {
      const { work, identity } = this.#terms
      const handled = work.handles(identity.entity, what, this.#context.now())
      const ends = (): void => this.#answered(handled, true)
      turn.then(ends, ends)
      this.#handled = handled
      return turn
    }
    const work = this.#begins(what, this.#context.now())
    return turn.finally(() => this.#settled(work))
  }

  /** Notes work of a machine. Returns the function for its end; `undefined`: none begins. */
  works(what: string): (() => void) | undefined {
    if (!this.#terms.work.mayBegin) return undefined
    const work = this.#begins(what)
    // Work that runs at the end of the process is cut off, although the machine stops it.
    return () => processOf(this.#context).alive && this.#settled(work)
  }

  #begins(what: string, turnSince?: number): Work {
    const { work, identity } = this.#terms
    const noted = work.begins(identity.entity, what, turnSince)
    this.#running ??= new Set()
    this.#running.add(noted)
    return noted
  }

  #settled(work: Work): void {
    this.#running?.delete(work)
    this.#terms.work.ends(work, true)
  }

  #answered(handled: Handled, hasSettled: boolean): void {
    if (this.#handled === handled) this.#handled = undefined
    this.#terms.work.answered(handled, hasSettled)
  }

  /** The actor has ended, and so does what runs. */
  end(): void {
    if (this.#handled) this.#answered(this.#handled, false)
    for (const work of this.#running ?? []) this.#terms.work.ends(work, false)
    for (const process of this.#working ?? []) process.end('shutdown')
  }
}

/** The end of either side ends the wait. */
const patiently = { timeoutMs: Number.POSITIVE_INFINITY }

/** Most work never asks for its signal: it is made on first use. */
const closing = {
  get(this: { readonly [ownWork]: Work }): AbortSignal {
    return this[ownWork].closing
  },
}
