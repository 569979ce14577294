/**
 * Ends a process in order: asks it, waits for its shutdown time, then kills it. Supervisors end
 * their children so, and a System ends its roots so.
 */

import type { HeapEntry } from '../queues/timer-heap.ts'
import type { Address, Ref } from '../words/address.ts'
import { Envelope, isExit, kinds } from '../words/envelope.ts'
import type { ExitReason } from '../words/exit-reason.ts'
import { Monitor } from '../words/monitor.ts'
import type { Mailbox } from './mailbox.ts'
import type { Process } from './process.ts'

// Exit messages of one process in the mailbox of another, which traps exits.

type Sender = { readonly address: Address }
type Holder = { readonly mailbox: Mailbox }

/** Removes an exit message of `from`. Returns its reason in a list of one, or an empty list. */
const takeExit = ({ mailbox }: Holder, { address }: Sender): [] | [ExitReason] => {
  const found = mailbox.remove((message) => isExit(message) && message.payload.from === address)
  return found !== undefined && isExit(found) ? [found.payload.reason] : []
}

/** Removes the exit messages of all of `from`, in one walk. Returns their reasons. */
export const takeExits = (
  { mailbox }: Holder,
  from: ReadonlySet<Ref>,
): ReadonlyMap<Ref, ExitReason> => {
  const reasons = new Map<Ref, ExitReason>()
  if (from.size > 0) {
    mailbox.removeAll((message) => {
      if (!isExit(message)) return false
      const { from: sender, reason } = message.payload
      if (sender === undefined || !from.has(sender) || reasons.has(sender)) return false
      reasons.set(sender, reason)
      return true
    })
  }
  return reasons
}

/**
 * How a child is ended: killed at once, asked and killed after this many ms, or asked and awaited
 * without limit.
 */
export type Shutdown = 'brutal_kill' | 'infinity' | number

/** Milliseconds that a worker has by default (OTP's). */
export const shutdownMsDefault = 5_000

/**
 * Ends `target` and resolves with its exit reason in a list of one: a promise would wait for a
 * reason that is a thenable. If it has ended before, the reason is that of its exit message at `by`,
 * which is removed, or `noproc`. `by` is the supervisor; without one, `target` is asked as by `sys`.
 */
export const shutDown = (
  by: Process | undefined,
  target: Process,
  how: Shutdown = shutdownMsDefault,
  reason: ExitReason = 'shutdown',
): Promise<readonly [ExitReason]> =>
  new Promise((resolve) => {
    const patience = new Patience(target)
    const onDown = (ended: ExitReason): void => {
      target.kernel.timers.remove(patience)
      // The exit message of a link arrives before the down message. It is removed, so that no later
      // code finds it.
      const [queued] = by === undefined ? [] : takeExit(by, target)
      resolve([queued ?? ended])
    }
    target.watchBy(new Monitor<Process>(undefined, target.address, onDown))
    if (target.alive) ask(by, target, how, reason, patience)
  })

const ask = (
  by: Process | undefined,
  target: Process,
  how: Shutdown,
  reason: ExitReason,
  patience: Patience,
): void => {
  if (typeof how === 'number') target.kernel.timers.add(patience, how)
  if (how === 'brutal_kill') target.signal(by, 'kill', false)
  else if (by === undefined && target.behaviour.answersSys)
    target.deliverEnd(new Envelope(kinds.system, 'stop', reason))
  // A `normal` from another process does not end a bare process.
  else target.signal(by, by === undefined && reason === 'normal' ? 'shutdown' : reason, false)
  // With no time it is killed before it does anything (OTP).
  if (how === 0) patience.fire()
}

/** Kills when it runs out. */
class Patience implements HeapEntry {
  dueAt = 0
  order = 0
  slot = -1
  readonly #target: Process

  constructor(target: Process) {
    this.#target = target
  }

  fire(): void {
    this.#target.signal(undefined, 'kill', false)
  }
}
