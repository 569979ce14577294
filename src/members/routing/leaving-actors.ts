/**
 * The end of the actors of a shard that leaves. They finish the work that they have begun, with the
 * calls that it makes. Messages in their mailboxes, and new ones, go to the next owner. It is apart from
 * `elsewhere-actors.ts`, which says where a message goes.
 */

import type { Entities, JournalShard } from '../../actors/index.ts'
import { passed } from '../../clock.ts'
import {
  type ChildSpec,
  isCall,
  kinds,
  type Message,
  name,
  type Process,
  processOf,
  type Ref,
  type SupervisorMessages,
  stopProcess,
  terminateChild,
} from '../../runtime/index.ts'
import { workerKind } from '../../storage/index.ts'
import { movedError } from '../links/link-refusals.ts'
import type { Members } from '../links/members.ts'
import { PeerCast } from '../links/peer-service.ts'

/**
 * All calls made here are taken until the actors have handled what they had at the beginning, or for
 * so long, in ms: nobody knows whether a call without a sender is of one of those handlers.
 */
const begunMs = 2_000

/** A call that is at work after so long more keeps its shard here, in ms. */
const handlersMs = 2_000

/** Steps and alarms that are at work after so long are cut off, in ms. */
const stepsMs = 2_000

/** The actors are looked at so often, in ms. */
const lookMs = 5

/** A durable worker: a child of a supervisor. */
export type LeavingWorker = {
  readonly spec: ChildSpec
  readonly above: Ref<SupervisorMessages>
  /** `away`: it starts here when its shard comes back. `coming`: its supervisor has been asked to. */
  place: 'here' | 'away' | 'coming'
}

/** The shard, and its actors. */
export type LeavingTerms = {
  readonly entities: Entities
  readonly owners: Members
  readonly shard: JournalShard
  /** Its durable workers, by their names. */
  readonly workers: () => ReadonlyMap<string, LeavingWorker>
  /** As of `Elsewhere.leave`. */
  readonly isLast: boolean
  /** Whether a message of this sender is of work that the actors have begun. */
  readonly isOwn: (sender: Process | undefined) => boolean
}

/** The actors of one shard. */
export class LeavingActors {
  readonly #terms: LeavingTerms
  #workers: ReadonlyMap<string, LeavingWorker>

  constructor(terms: LeavingTerms) {
    this.#terms = terms
    this.#workers = terms.workers()
  }

  /** As `Elsewhere.leave`. */
  async end(withinMs: number): Promise<boolean> {
    const { shard, isLast } = this.#terms
    const endsAt = this.#now + withinMs
    const before = (ms: number): number => Math.min(this.#now + ms, endsAt)
    const areIdle = (): boolean => this.#handling.length === 0
    await this.#until(this.#hasHandledAll(), before(begunMs))
    shard.goAway()
    // None of them begins here from now on.
    this.#workers = this.#terms.workers()
    for (const process of this.#live) this.#passOn(process)
    if (!isLast && !(await this.#until(areIdle, before(handlersMs)))) return false
    const areAtRest = (): boolean => !this.#closesWork() && areIdle()
    await this.#until(areAtRest, before(stepsMs))
    for (const worker of this.#workers.values()) worker.place = 'away'
    // They are run again at the next owner, and may wait for what a leaving shard keeps back.
    await this.#endAll(this.#inOwnTurns)
    await this.#until(areAtRest, endsAt)
    await this.#endAll(this.#live)
    return true
  }

  get #now(): number {
    return this.#terms.entities.system.clock.monotonic()
  }

  get #live(): readonly Process[] {
    const { entities, shard } = this.#terms
    const { system } = entities
    return [
      ...entities.kinds.flatMap((kind) => entities.kind(kind)?.processesOf(shard) ?? []),
      ...[...this.#workers.keys()].flatMap((id) => {
        const ref = system.whereis(name(id))
        return ref === undefined ? [] : [processOf({ self: ref as Ref })]
      }),
    ]
  }

  /** Actors in a step or an alarm. */
  get #inOwnTurns(): readonly Process[] {
    const turns = this.#terms.entities.work.turnsBefore(Number.POSITIVE_INFINITY)
    const names = new Set(turns.map(({ entity }) => entity))
    return this.#live.filter((process) => names.has(this.#entityOf(process)))
  }

  #entityOf({ label = '', name = '' }: Process): string {
    return this.#workers.has(name) ? `${workerKind}/${name}` : label
  }

  /** Actors that handle messages, or have some. */
  get #handling(): readonly Process[] {
    const called = this.#live.filter(({ depth, busy }) => depth > 0 || busy)
    if (called.length === 0) return called
    const own = this.#inOwnTurns
    return called.filter((process) => !own.includes(process))
  }

  /** Says, when it is called, whether each actor has handled what it has now. */
  #hasHandledAll(): () => boolean {
    const begun = new Map(this.#live.map((each) => [each, each.handled + each.depth]))
    return () => {
      const left = this.#handling.filter((process) => {
        const last = begun.get(process)
        return (
          last !== undefined && (process.busy ? process.handled <= last : process.handled < last)
        )
      })
      return left.length === 0
    }
  }

  /** Asks steps, alarms and background work to end. Whether some runs. */
  #closesWork(): boolean {
    const { entities, shard } = this.#terms
    return entities.work.closes((actor) => entities.shardOf(actor) === shard)
  }

  /** Waits until `isSo`. False: it was not in time. */
  async #until(isSo: () => boolean, endsAt: number): Promise<boolean> {
    const { clock } = this.#terms.entities.system
    while (!isSo()) {
      if (clock.monotonic() >= endsAt) return false
      await passed(clock, lookMs)
    }
    return true
  }

  /** Gives what waits in a mailbox to the next owner, but for what belongs to work here. */
  #passOn(process: Process): void {
    const { mailbox } = process
    const kept: Message[] = []
    for (let next = mailbox.shift(); next; next = mailbox.shift())
      if (!this.#passed(process, next)) kept.push(next)
    for (const each of kept) mailbox.push(each)
  }

  #passed(process: Process, message: Message): boolean {
    const { owners, shard, isOwn } = this.#terms
    const { kind } = message
    // Messages of an actor to itself begin with a dollar sign.
    if ((kind !== kinds.call && kind !== kinds.cast) || message.name.startsWith('$')) return false
    const target = this.#entityOf(process)
    // A peer sends its messages again, in its own order.
    if (message instanceof PeerCast && message.giveBack(shard.index)) return true
    if (isCall(message)) {
      if (isOwn(message.maker as Process | undefined)) return false
      message.list?.remove(message)
      if (message.giveBack && !message.isSettled) {
        message.giveBack(shard.index)
        message.fail(movedError(shard.index))
      }
    }
    owners.pass(shard.index, target, message)
    return true
  }

  async #endAll(processes: readonly Process[]): Promise<void> {
    await Promise.all(
      processes.map((process) => {
        const worker = this.#workers.get(process.name ?? '')
        return worker ? this.#endWorker(process, worker) : this.#endEntity(process)
      }),
    )
  }

  /** Ends an entity: in order, or by a kill if it is at work. */
  async #endEntity(process: Process): Promise<void> {
    const ref = process.address as Ref
    if (process.busy) {
      this.#passOn(process)
      this.#terms.entities.system.kill(ref)
    }
    await stopProcess(ref, 'shutdown').catch(() => undefined)
  }

  /**
   * Ends a worker as its supervisor does. That gets the request first: otherwise it would take the end
   * for a failure, and restart others with it. But it may be at work for long, and may start a child
   * that waits for an answer of the next owner. So nothing waits for it here.
   */
  async #endWorker(process: Process, { spec, above }: LeavingWorker): Promise<void> {
    const { system } = this.#terms.entities
    const ref = process.address as Ref
    const left = terminateChild(above, spec.id).catch(() => undefined)
    this.#passOn(process)
    if (process.behaviour.status() === 'starting') {
      // A start that is cut off would be a failure, too.
      await left
      return
    }
    const ended = new Promise<void>((resolve) => void system.monitor(ref, () => resolve()))
    if (process.busy && process.trapping) system.kill(ref)
    else process.signal(processOf({ self: above as Ref }), 'shutdown', false)
    await ended
  }
}
