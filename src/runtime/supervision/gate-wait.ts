/**
 * The waits at a closed start gate: of a child before its restart, and of a start that a process
 * asked for. The supervisor handles its messages during the wait.
 */
import type { Process } from '../process/process.ts'
import type { From } from '../server/gen-server.ts'
import type { StartResult } from '../server/start-options.ts'
import { Envelope, kinds } from '../words/envelope.ts'
import { type ExitReason, reasonOf } from '../words/exit-reason.ts'
import type { Child } from './supervised-children.ts'

/** The wait of a child at its gate. */
class GateWait {
  #isOver = false

  cancel(): void {
    this.#isOver = true
  }

  /** False: it is over. */
  read(): number | false {
    return this.#isOver ? false : Number.POSITIVE_INFINITY
  }
}

/**
 * Lets `child`, which has ended for `reason`, wait until `closed` resolves. `supervisor` then gets
 * the info `waited` with the child. If `closed` rejects, it waits until it is ended.
 */
export const waitAtGate = (
  supervisor: Process,
  child: Child,
  reason: ExitReason,
  closed: Promise<unknown>,
): void => {
  const wait = new GateWait()
  child.isRestarting = true
  child.failure = reason
  child.wait = wait
  closed.then(
    () => {
      wait.cancel()
      supervisor.deliver(new Envelope(kinds.info, 'waited', child))
    },
    () => undefined,
  )
}

/** A start that was asked for. A class, so that no value from outside is taken for one. */
export class AskedAgain<A> {
  readonly asked: A

  constructor(asked: A) {
    this.asked = asked
  }
}

/**
 * Gives `supervisor` the info `opened` with `asked` when `closed` resolves. If it rejects, the start
 * that was asked for has failed.
 */
export const askAgain = (
  supervisor: Process,
  asked: { readonly from: Pick<From<StartResult<never>>, 'reply'> },
  closed: Promise<unknown>,
): void => {
  closed.then(
    () => supervisor.deliver(new Envelope(kinds.info, 'opened', new AskedAgain(asked))),
    (thrown) => asked.from.reply({ ok: false, reason: reasonOf(thrown) }),
  )
}
