/**
 * Watches a System (OTP's `erlang:system_monitor`) and announces on its bus what holds it up:
 * handlers that run long, handlers that stay pending, long mailboxes, and delays of the event loop.
 * A System without a monitor pays one comparison for each turn of a process.
 */

import { argument, noMore, readOptions } from '../../check.ts'
import type { Cancel, LoopDelay } from '../../clock.ts'
import { invalidArgument, KeelsonError } from '../../errors.ts'
import type { Process } from '../process/process.ts'
import { describeMessage } from '../words/envelope.ts'
import { announce } from '../words/telemetry.ts'
import type { System } from './gen-server.ts'
import { pendingIn } from './handler-limit.ts'
import { ProcessSystem } from './system.ts'

/** The thresholds of the watch. Nothing is watched without its threshold. */
export interface SystemMonitorOptions {
  /** Announces `handler.slow`: a handler ran for so many ms without an `await`. */
  readonly slowHandlerMs?: number | undefined
  /** Announces `handler.pending`: the promise of a handler is pending for so many ms. */
  readonly pendingHandlerMs?: number | undefined
  /** Announces `mailbox.long`: so many messages wait. */
  readonly longMailbox?: number | undefined
  /**
   * Announces `loop.delayed`: a turn of the event loop began so many ms late. The virtual clock has
   * no such delay.
   */
  readonly loopDelayMs?: number | undefined
  /** Pending handlers, mailboxes and the loop are looked at this often. 1,000 ms by default. */
  readonly everyMs?: number | undefined
}

/** A running monitor. */
export interface SystemMonitor {
  /** Ends it. A second call does nothing. */
  stop(): void
}

/**
 * Watches `system` until `stop`. It does not keep the program running. Throws `INVALID_ARGUMENT`
 * for wrong options, and `CONFLICT` if the System is watched already.
 */
export const systemMonitor = (
  system: System,
  options: SystemMonitorOptions,
  ...surplus: []
): SystemMonitor => {
  noMore(surplus, 'systemMonitor(system, { … })')
  if (!(system instanceof ProcessSystem)) throw invalidArgument('system', 'a System', system)
  const limits = readOptions(options, keys, argument('', 'a system monitor'))
  for (const [key, found] of Object.entries(limits)) expectThreshold(key, found)
  if (watched.every((key) => limits[key] === undefined))
    throw invalidArgument('the options of a system monitor', `one of ${watched.join(', ')}`, 'none')
  if (system.monitoredBy !== undefined)
    throw new KeelsonError('CONFLICT', 'the System is watched by a monitor already')
  return new Watch(system, limits)
}

const watched = ['slowHandlerMs', 'pendingHandlerMs', 'longMailbox', 'loopDelayMs'] as const
const keys = [...watched, 'everyMs']

const expectThreshold = (key: string, found: unknown): void => {
  if (found === undefined || (typeof found === 'number' && Number.isFinite(found) && found > 0))
    return
  throw invalidArgument(key, 'a number above 0', found)
}

class Watch implements SystemMonitor {
  readonly #system: ProcessSystem
  readonly #limits: SystemMonitorOptions
  readonly #loop: LoopDelay | undefined
  #cancel: Cancel | undefined
  // The announced conditions that still last, so that each is announced once: handlers by the time
  // since when they are pending, and long mailboxes.
  #pending: ReadonlyMap<Process, number> = new Map()
  #long: ReadonlySet<Process> = new Set()

  constructor(system: ProcessSystem, limits: SystemMonitorOptions) {
    const { slowHandlerMs, loopDelayMs } = limits
    this.#system = system
    this.#limits = limits
    this.#loop = loopDelayMs === undefined ? undefined : system.clock.loopDelay?.()
    if (slowHandlerMs !== undefined)
      system.runQueue.watch = (next) => this.#timed(next as Process, slowHandlerMs)
    system.monitoredBy = this
    this.#lookLater()
  }

  stop(): void {
    if (this.#system.monitoredBy !== this) return
    this.#system.monitoredBy = undefined
    this.#system.runQueue.watch = undefined
    this.#cancel?.()
    this.#loop?.stop()
  }

  /** Runs one message of `process`, or its start, and takes its time. */
  #timed(process: Process, slowHandlerMs: number): number {
    const { clock } = this.#system
    const before = process.current
    const beganAt = clock.monotonic()
    const count = process.run(1)
    const tookMs = clock.monotonic() - beganAt
    if (tookMs >= slowHandlerMs) {
      const { current } = process
      const message = current === before ? undefined : current && describeMessage(current)
      announce(this.#system, 'handler.slow', () => ({ ...process.facts(), message, tookMs }))
    }
    return count
  }

  #lookLater(): void {
    const { everyMs = 1_000 } = this.#limits
    this.#cancel = this.#system.clock.after(everyMs, this.#look, { holdsProcess: false })
  }

  readonly #look = (): void => {
    this.#lookLater()
    this.#lookAtLoop()
    const { pendingHandlerMs, longMailbox } = this.#limits
    if (pendingHandlerMs !== undefined || longMailbox !== undefined) {
      const processes = this.#system.liveProcesses()
      if (pendingHandlerMs !== undefined) this.#lookAtHandlers(processes, pendingHandlerMs)
      if (longMailbox !== undefined) this.#lookAtMailboxes(processes, longMailbox)
    }
  }

  #lookAtLoop(): void {
    const delayMs = this.#loop?.read() ?? 0
    const { loopDelayMs = Number.POSITIVE_INFINITY } = this.#limits
    if (delayMs >= loopDelayMs)
      announce(this.#system, 'loop.delayed', () => ({ at: this.#system.clock.now(), delayMs }))
  }

  #lookAtHandlers(processes: readonly Process[], pendingHandlerMs: number): void {
    const now = this.#system.clock.now()
    const pending = new Map<Process, number>()
    for (const process of processes) {
      const { busySince } = process
      const pendingMs = now - busySince
      if (!process.busy || !process.behaviour.answersSys || pendingMs < pendingHandlerMs) continue
      pending.set(process, busySince)
      if (this.#pending.get(process) === busySince) continue
      const message = pendingIn(process)
      announce(this.#system, 'handler.pending', () => ({ ...process.facts(), message, pendingMs }))
    }
    this.#pending = pending
  }

  /** A mailbox is long until half of its messages are gone. */
  #lookAtMailboxes(processes: readonly Process[], longMailbox: number): void {
    const long = new Set<Process>()
    for (const process of processes) {
      const { depth, mailboxMax } = process
      const wasLong = this.#long.has(process)
      if (depth < (wasLong ? longMailbox / 2 : longMailbox)) continue
      long.add(process)
      if (!wasLong)
        announce(this.#system, 'mailbox.long', () => ({ ...process.facts(), depth, mailboxMax }))
    }
    this.#long = long
  }
}
