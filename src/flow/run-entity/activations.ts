/**
 * The activations of the runs of one workflow, as the turns of their entities see them: what the process
 * of a run has in memory, and how a turn begins an activation or calls it.
 */
import type { DurableServer } from '../../actors/index.ts'
import { RunActivation } from '../runs/activation.ts'
import type { Workflow } from '../runs/body.ts'
import type { Notified, Present, RunContext, RunMessages, State } from '../runs/messages.ts'
import { isLive, type RunFields, type RunState } from '../runs/record.ts'
import { FailingSteps } from '../runs/tries.ts'
import { withStatus } from '../runs/turns.ts'

/** The server of a run. */
export type RunServer = DurableServer<RunMessages, State, RunFields, string, unknown>

/** The handlers of some calls of a run. */
export type RunCalls<N extends keyof RunMessages['calls']> = Pick<RunServer['calls'], N>

/** The handlers of some steps of a run. */
export type RunContinues<N extends keyof RunMessages['continues']> = Pick<RunServer['continues'], N>

/** The handlers of some alarms of a run. */
export type RunAlarms<N extends keyof RunMessages['alarms']> = Pick<RunServer['alarms'], N>

/** The activations of the runs of one workflow in one instance. */
export class RunActivations {
  readonly workflow: Workflow
  readonly #presents = new Map<string, Present>()

  constructor(workflow: Workflow) {
    this.workflow = workflow
  }

  /** The memory of the process of this run. */
  presentOf({ app, id }: Pick<RunContext, 'app' | 'id'>): Present {
    const found = this.#presents.get(id)
    if (found) return found
    const failing = new FailingSteps(app, this.workflow.name, id)
    const present = {
      activation: undefined,
      isCancelled: false,
      failing,
      waiting: new Set(),
      updates: new Map(),
    } as Present
    this.#presents.set(id, present)
    return present
  }

  /** The process of this run has ended, or another one begins. */
  forget(id: string): void {
    this.#presents.delete(id)
  }

  /** Begins an activation when this turn is durable. `first`: of a run that begins with this turn. */
  begin(context: RunContext, first?: { readonly input: unknown; readonly state: RunState }): void {
    const { id } = context
    const { workflow } = this
    const present = this.presentOf(context)
    context.background(async (background) => {
      let [next, terms] = ['first', { workflow, id, background, present, first, isSecond: false }]
      while (next !== 'rest') {
        next = await new RunActivation(terms).run()
        terms = { ...terms, first: undefined, isSecond: next === 'replay' }
      }
    })
  }

  /** Calls the activation of a run, if there is one, when this turn is durable. */
  notify(context: RunContext, notify: (activation: Notified) => void): void {
    const present = this.presentOf(context)
    context.background(() => present.activation && notify(present.activation))
  }

  /** The run has something to do: its activation is called, or begins. */
  goOn(state: RunState, context: RunContext, notify: (activation: Notified) => void): State {
    if (isLive(state.status)) {
      this.notify(context, notify)
      return state
    }
    this.begin(context)
    context.cancelAlarm('timer')
    const { isHeld: _, waitsFor: __, ...begun } = state
    return withStatus(begun, 'running', context)
  }

  /** A signal or a cancel is in this state: the run goes on. */
  changed(state: RunState, context: RunContext): State {
    return this.goOn(state, context, (activation) =>
      activation.changed(state.cancel?.isPlaced === false),
    )
  }

  /** The run waits in its queue, and begins when it has a place there. */
  entering(state: RunState, context: RunContext): RunState {
    context.addContinue('enter')
    const waitsFor = { kind: 'queue', name: this.workflow.options.queue as string } as const
    return { ...withStatus(state, 'waiting', context), isHeld: true, waitsFor }
  }

  /**
   * An operator lets the run go on: its place in the queue was given back. The reason why it did not
   * go on has not failed.
   */
  resumed(ended: RunState, context: RunContext): RunState {
    const { error: _, isHeld: __, waitsFor: ___, ...state } = ended
    if (this.workflow.options.queue !== undefined) return this.entering(state, context)
    this.begin(context)
    return withStatus(state, 'running', context)
  }
}
