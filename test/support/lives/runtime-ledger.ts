/**
 * The ledger of a random world of processes: requests (links, monitors, calls, timers), their
 * outcomes, and the errors in them. It knows OTP's rules of signals and nothing of the runtime's
 * implementation.
 */

import type { Monitor, Ref, System } from '../../../src/runtime/index.ts'
import { describeReason } from '../../../src/runtime/words/exit-reason.ts'

/** How far the restarts of a supervisor may go. */
export interface Fuse {
  readonly strategy: string
  readonly intensity: number
  readonly periodMs: number
  /** A restart takes no time here. */
  readonly isPrompt: boolean
}

interface Watch {
  readonly owner: number
  readonly target: Ref | undefined
  downs: number
  /** How often its message must have arrived, known at the end from owner and target. */
  expected: 'one' | 'none' | 'any'
}

interface Alarm {
  readonly target: Ref | undefined
  fired: number
  isCancelled: boolean
}

/** The books of one world. */
export class Ledger {
  readonly trace: string[] = []
  readonly faults: string[] = []
  readonly fuses = new Map<string, Fuse>()
  readonly refs = new Map<number, Ref>()
  readonly #system: System
  readonly #links = new Map<number, Set<number>>()
  /** Linked starters: their exit ends a process also when that traps. */
  readonly #parents = new Map<number, number>()
  /** Processes in `init`; true once they end it themselves. */
  readonly #starting = new Map<number, boolean>()
  readonly #exits = new Map<string, unknown[]>()
  readonly #watches = new Map<Monitor, Watch>()
  readonly #alarms = new Map<number, Alarm>()
  readonly #doomed = new Set<number>()
  readonly #doomedSoon = new Set<number>()
  readonly #mayEndNormally = new Set<number>()
  readonly #supervised = new Map<number, number>()
  readonly #labels = new Map<number, string>()
  readonly #restarts = new Map<string, readonly number[]>()
  #calls = 0
  #settled = 0

  constructor(system: System) {
    this.#system = system
    system.events.on('process.started', (event) => {
      const { pid, parent, label = '' } = event
      this.note(`${pid} started`)
      this.#starting.delete(pid)
      this.#labels.set(pid, label)
      if (parent !== undefined && this.fuses.has(this.#labelOf(parent))) {
        this.#supervised.set(pid, parent)
      }
    })
    system.events.on('process.exited', ({ pid, reason }) => this.#ended(pid, reason))
    system.events.on('process.restarted', (event) => {
      this.note(`${event.pid} is ${event.id} again`)
      this.#restarted(event)
    })
    system.events.on('supervisor.gave_up', ({ pid }) => this.note(`${pid} gave up`))
  }

  note(line: string): void {
    this.trace.push(`${this.#system.clock.now()} ${line}`)
  }

  isAlive(pid: number): boolean {
    const ref = this.refs.get(pid)
    return ref !== undefined && this.#system.info(ref) !== undefined
  }

  // What processes tell of themselves.

  /** `self` is in its init; linked to `parent` when that started it so. */
  born(self: Ref, parent: number | undefined): void {
    const pid = self.pid as number
    this.refs.set(pid, self)
    this.#starting.set(pid, false)
    if (parent === undefined) return
    this.#parents.set(pid, parent)
    this.linked(pid, parent)
  }

  /** `self` ends its init by itself: by a throw, a stop or an ignore. */
  refuses(self: Ref): void {
    this.mayEndNormally(self.pid)
    this.#starting.set(self.pid as number, true)
  }

  /** An end of `pid` with `normal` is expected, unless another process caused it. */
  mayEndNormally(pid: number | undefined): void {
    if (pid !== undefined) this.#mayEndNormally.add(pid)
  }

  /** A handler of `self` begins. The dead handle nothing. */
  handles(self: Ref, what: string): void {
    this.note(`${self} ${what}`)
    if (!this.isAlive(self.pid as number)) this.faults.push(`${self} handles ${what} after its end`)
  }

  linked(one: number, other: number): void {
    if (one === other) return
    this.#linksOf(one).add(other)
    this.#linksOf(other).add(one)
  }

  unlinked(one: number, other: number): void {
    this.#linksOf(one).delete(other)
    this.#linksOf(other).delete(one)
  }

  /** An exit message from `from` must come to `to`, if that lives to handle it. */
  owesExit(from: number, to: number, reason: unknown): void {
    const key = `${from} to ${to}`
    this.#exits.set(key, [...(this.#exits.get(key) ?? []), reason])
  }

  exitCame(from: number | undefined, to: number, reason: unknown): void {
    const owed = this.#exits.get(`${from} to ${to}`) ?? []
    const index = owed.findIndex((each) => Object.is(each, reason))
    if (index < 0) this.faults.push(`${to} got an exit of ${from} that nobody sent`)
    else owed.splice(index, 1)
  }

  watched(monitor: Monitor, owner: number, target: Ref | undefined): void {
    this.#watches.set(monitor, { owner, target, downs: 0, expected: 'one' })
  }

  unwatched(monitor: Monitor, wasThere: boolean, isFlushed: boolean): void {
    const watch = this.#watches.get(monitor)
    if (watch !== undefined && wasThere) watch.expected = 'none'
    else if (watch !== undefined && isFlushed) watch.expected = 'any'
  }

  downCame(monitor: Monitor): void {
    const watch = this.#watches.get(monitor)
    if (watch === undefined) this.faults.push('a down message of no monitor')
    else if (++watch.downs > 1)
      this.faults.push(`${watch.owner} got two down messages of one monitor`)
  }

  /**
   * A timer was set. The target is `undefined` if it is a name, or if the timer is too late to
   * matter.
   */
  set(id: number, target: Ref | undefined): void {
    this.#alarms.set(id, { target, fired: 0, isCancelled: false })
  }

  cancelled(id: number): void {
    const alarm = this.#alarms.get(id)
    if (alarm !== undefined) alarm.isCancelled = true
  }

  rang(id: number, by: number): void {
    const alarm = this.#alarms.get(id)
    if (alarm === undefined || ++alarm.fired > 1 || alarm.isCancelled)
      this.faults.push(`timer ${id} rang ${alarm?.fired} times at ${by}`)
  }

  /** A call whose promise must settle, with `expected` if it is known. */
  asked(promise: Promise<unknown>, expected?: unknown): void {
    this.#calls++
    promise.then(
      (value) => {
        this.#settled++
        if (expected !== undefined && value !== expected)
          this.faults.push(`a call was answered with ${describeReason(value)}`)
      },
      () => this.#settled++,
    )
  }

  // What must hold.

  /** What must hold at any time, when nothing more happens without time passing. */
  check(): void {
    const processes = this.#system.processes()
    for (const pid of this.#doomed)
      if (this.isAlive(pid))
        this.faults.push(`${pid} lives on without the one that it was linked to`)
    this.#doomed.clear()
    const names = processes.flatMap(({ name }) => name ?? [])
    if (new Set(names).size < names.length) this.faults.push(`one name, two holders: ${names}`)
    for (const { name, pid } of processes)
      if (name !== undefined && this.#system.whereis(name as never)?.pid !== pid)
        this.faults.push(`${pid} is called ${name}, and not found by it`)
  }

  /** What must hold when there is nothing left to happen. */
  checkRest(): void {
    this.check()
    for (const pid of this.#doomedSoon)
      if (this.isAlive(pid)) this.faults.push(`${pid} outlived its parent`)
    for (const [key, owed] of this.#exits) {
      const to = Number(key.split(' ')[2])
      if (owed.length > 0 && this.isAlive(to)) this.faults.push(`no exit message ${key}`)
    }
    for (const { owner, target, downs, expected } of this.#watches.values()) {
      const isDown = target === undefined || this.#system.info(target) === undefined
      const due = expected === 'one' && isDown ? 1 : 0
      if (this.isAlive(owner) && expected !== 'any' && downs !== due)
        this.faults.push(`${owner} got ${downs} down messages of ${target}, not ${due}`)
    }
    for (const [id, { target, fired, isCancelled }] of this.#alarms)
      if (target !== undefined && !isCancelled && fired === 0 && this.isAlive(target.pid as number))
        this.faults.push(`timer ${id} of ${target} never rang`)
    for (const { pid } of this.#system.processes()) {
      const supervisor = this.#supervised.get(pid)
      if (
        supervisor !== undefined &&
        !this.#system.processes().some((each) => each.pid === supervisor)
      )
        this.faults.push(`${pid} is an orphan`)
    }
  }

  /** What must hold when the system has stopped. */
  checkEnd(): void {
    if (this.#system.processes().length > 0) this.faults.push('something runs after the stop')
    if (this.#settled !== this.#calls)
      this.faults.push(`${this.#calls} calls, ${this.#settled} settled`)
  }

  #ended(pid: number, reason: unknown): void {
    this.note(`${pid} ended: ${describeReason(reason)}`)
    if (reason === 'normal' && this.refs.has(pid) && !this.#mayEndNormally.has(pid))
      this.faults.push(`${pid} ended normally, and nobody wanted that`)
    const wasCutOff = this.#starting.get(pid) === false
    this.#starting.delete(pid)
    for (const peer of this.#linksOf(pid)) {
      this.#linksOf(peer).delete(pid)
      const info = this.isAlive(peer) ? this.#system.info(this.refs.get(peer) as Ref) : undefined
      if (info === undefined) continue
      if (!info.trapExit) {
        if (reason !== 'normal') this.#doomed.add(peer)
      } else if (this.#parents.get(peer) === pid) {
        this.#doomedSoon.add(peer)
        this.mayEndNormally(peer)
      }
      // A trapping starter learns of a start that a signal cut off from the answer alone.
      else if (!(wasCutOff && this.#parents.get(pid) === peer)) this.owesExit(pid, peer, reason)
    }
    this.#links.delete(pid)
  }

  /** One crash restarts several children but in one_for_one; of each child it is one restart. */
  #restarted({ supervisor, id, at }: { supervisor: number; id: string; at: number }): void {
    const fuse = this.fuses.get(this.#labelOf(supervisor))
    if (fuse === undefined) return
    const key = fuse.strategy === 'one_for_one' ? `${supervisor}` : `${supervisor} ${id}`
    const earlier = this.#restarts.get(key) ?? []
    const recent = [...earlier.filter((each) => at - each <= fuse.periodMs), at]
    this.#restarts.set(key, recent)
    // The recorded time is the end of a restart. If restarts take time, the first may have begun
    // before the period.
    const allowed = fuse.isPrompt ? fuse.intensity : fuse.intensity + 1
    if (recent.length > allowed)
      this.faults.push(`${supervisor}, ${id}: ${recent.length} restarts, ${allowed} allowed`)
  }

  #labelOf(pid: number): string {
    return this.#labels.get(pid) ?? ''
  }

  #linksOf(pid: number): Set<number> {
    const links = this.#links.get(pid) ?? new Set<number>()
    this.#links.set(pid, links)
    return links
  }
}
