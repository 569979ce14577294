/**
 * How one activation looks for unread signals and updates, and hands them to the operations that wait for
 * them. It is apart from the activation, as it alone knows what was looked for.
 */
import type { Active } from '../runs/active.ts'
import type { Present, RunContext } from '../runs/messages.ts'
import type { Recorded, RunState } from '../runs/record.ts'
import type { Replay } from '../runs/replay.ts'
import { delivering, type Turned } from '../runs/turns.ts'

/** The activation, for its reading of signals. */
interface Reading {
  readonly isStopped: boolean
  readonly replay: Pick<Replay<Active>, 'hasArrived' | 'open'>
  readonly present: Present
  turn<R>(change: (state: RunState, context: RunContext) => Turned<R>): Promise<R>
  /** An operation has its outcome. */
  recorded(recorded: Recorded): void
}

/** The reading of signals of one activation. */
export class SignalReading {
  /** How many signals the run had when they were last looked for, or at the beginning. */
  seen = 0
  readonly #activation: Reading
  #reading: Promise<void> = Promise.resolve()

  constructor(activation: Reading) {
    this.#activation = activation
  }

  /** One reading after another: each knows what the one before has handed out. */
  read(): Promise<void> {
    this.#reading = this.#reading.then(() => this.#hands())
    return this.#reading
  }

  async #hands(): Promise<void> {
    const { isStopped, replay, present } = this.#activation
    if (isStopped || !replay.hasArrived) return
    let { seen } = this
    const delivered = await this.#activation.turn((state, context) => {
      seen = state.signals
      const ready = replay.open.filter(({ isRecording }) => !isRecording)
      return delivering(state, context, ready, present.updates)
    })
    // Not before the turn is durable: one that waits for space would rest, and wake for no signal.
    this.seen = seen
    for (const recorded of delivered) this.#activation.recorded(recorded)
  }
}
