/**
 * Who waits for a state of one machine (`waitFor`) or follows its states (`subscribe`). Each is a
 * call that the process owes. So it ends with its caller, its time limit and the process, and is
 * forgotten then; an entity that owes one does not rest.
 */
import type { AnyMachineSnapshot } from 'xstate'
import { KeelsonError } from '../../errors.ts'
import { PendingCall } from '../process/pending-call.ts'
import type { Process } from '../process/process.ts'
import type { From } from '../server/gen-server.ts'
import { callOutside } from '../words/outside-code.ts'

type Listener = (snapshot: AnyMachineSnapshot) => unknown

/** The watchers of one machine. */
export class Watchers {
  readonly #process: Process
  #calls: Set<PendingCall> | undefined = undefined

  constructor(process: Process) {
    this.#process = process
  }

  /**
   * Takes the call of a watcher, and sends it `snapshot`, the present state, when that may be seen.
   */
  add(from: From, snapshot: AnyMachineSnapshot): void {
    // That of a durable actor is held, and has the call inside.
    const call = 'call' in from ? from.call : from
    if (call instanceof PendingCall) this.#process.outputs.hold(() => this.#begin(call, snapshot))
  }

  /** The machine has changed: notifies the watchers when that may be seen. */
  changed(snapshot: AnyMachineSnapshot): void {
    this.#process.outputs.hold(() => {
      for (const call of this.#calls ?? []) this.#notify(call, snapshot)
    })
  }

  #begin(call: PendingCall, snapshot: AnyMachineSnapshot): void {
    if (call.isSettled) return
    this.#calls ??= new Set()
    const calls = this.#calls.add(call)
    call.onceSettled(() => calls.delete(call))
    this.#notify(call, snapshot)
  }

  #notify(call: PendingCall, snapshot: AnyMachineSnapshot): void {
    const listener = call.payload as Listener
    const isOver = snapshot.status !== 'active'
    // A predicate and a listener belong to no process.
    const work = (): unknown => this.#process.kernel.runQueue.outside(() => listener(snapshot))
    if (call.name === 'subscribe') {
      callOutside(work, (reason) => this.#log('a listener', reason))
      if (isOver) call.reply(undefined)
      return
    }
    try {
      if (work()) call.reply(snapshot)
      else if (isOver) call.fail(neverSo(this.#process))
    } catch (error) {
      call.fail(error)
    }
  }

  #log(what: string, reason: unknown): void {
    this.#process.kernel.logger.error(`${what} of ${this.#process} threw`, { reason })
  }
}

const neverSo = (process: Process): KeelsonError =>
  new KeelsonError('EXITED', `waitFor: ${process.title} is done, and in another state`, {
    details: { reason: 'normal' },
  })
