/**
 * The activations of the runs of one workflow, as the turns of their entities see them: what the process
 * of a run has in memory, and how a turn begins an activation or calls it.
 */
import { type DurableServer, type Follows, whenDurable } from '../../actors/index.ts'
import { type AppContext, durableActors } from '../../supervisors/index.ts'
import { RunActivation } from '../runs/activation.ts'
import type { Workflow } from '../runs/body.ts'
import { emitFlow } from '../runs/events.ts'
import { FailingSteps, noteResumed, noteRunEnd } from '../runs/failing-work.ts'
import type {
  ActivationTerms,
  Notified,
  Present,
  RunBackground,
  RunContext,
  RunEnd,
  RunMessages,
  State,
} from '../runs/messages.ts'
import { runKind } from '../runs/parts.ts'
import { isBetweenTries, isLive, type RunFields, type RunState } from '../runs/record.ts'
import { type Turned, withStatus } from '../runs/turns.ts'

/** The server of a run. */
export type RunServer = DurableServer<RunMessages, State, RunFields, string, unknown>

/** The handlers of some calls of a run. */
export type RunCalls<N extends keyof RunMessages['calls']> = Pick<RunServer['calls'], N>

/** The handlers of some steps of a run. */
export type RunContinues<N extends keyof RunMessages['continues']> = Pick<RunServer['continues'], N>

/** The handlers of some alarms of a run. */
export type RunAlarms<N extends keyof RunMessages['alarms']> = Pick<RunServer['alarms'], N>

/**
 * So many microtasks long the turn of a birth waits for its body: an end without any operation takes
 * a few.
 */
const ticksMax = 16

/** A run that begins: its end if it has ended, and its state. */
export type Born = Turned<RunEnd | undefined>

/** The activations of the runs of one workflow in one instance. */
export class RunActivations {
  readonly workflow: Workflow
  readonly #presents = new Map<string, Present>()
  #entities: ActivationTerms['entities'] | undefined = undefined

  constructor(workflow: Workflow) {
    this.workflow = workflow
  }

  /** The memory of the process of this run. */
  presentOf(context: Pick<RunContext, 'app' | 'id'>): Present {
    const { id } = context
    const found = this.#presents.get(id)
    if (found) return found
    const { trouble } = this.#entitiesOf(context)
    const failing = new FailingSteps(trouble, this.workflow.name, id)
    const present = {
      activation: undefined,
      isCancelled: false,
      failing,
      wakers: undefined,
      waiting: new Set(),
      updates: new Map(),
    } as Present
    this.#presents.set(id, present)
    return present
  }

  /** The `app` of a context is made on first use, and takes 2 kB: one is asked, and not that of each run. */
  #entitiesOf(context: Pick<RunContext, 'app'>): ActivationTerms['entities'] {
    this.#entities ??= (context.app as AppContext)[durableActors].entities
    return this.#entities
  }

  /** Whether this member has the shard of this run, and does not leave it to another one. */
  isHere(context: Pick<RunContext, 'app' | 'id'>): boolean {
    const entity = `${runKind(this.workflow.name)}/${context.id}`
    return !this.#entitiesOf(context).isElsewhere(entity)
  }

  /** The process of this run has ended, or another one begins. */
  forget(id: string): void {
    this.#presents.delete(id)
  }

  /**
   * The run begins with this turn, and so does its body: the part that it can do by itself. One that
   * has asked for nothing when it ends has ended its run with this turn. Any other goes on when the
   * turn is durable, as it does if the body waits for something else.
   */
  bear(born: RunState, input: unknown, context: RunContext): Born | Promise<Born> {
    const activation = new RunActivation(this.#terms(context))
    activation.begin({ state: born, record: [], input })
    // Most bodies ask at once: their turn waits for nothing.
    if (activation.isAlone) return this.#bearAlone(activation, born, context)
    this.begin(context, activation)
    return [undefined, born]
  }

  async #bearAlone(activation: RunActivation, born: RunState, context: RunContext): Promise<Born> {
    for (let tick = 0; tick < ticksMax && activation.isAlone; tick++) await undefined
    const closing = activation.ending(born, context)
    if (!closing) {
      this.begin(context, activation)
      return [undefined, born]
    }
    const [end, next] = closing
    this.forget(context.id)
    const run = { type: this.workflow.name, id: context.id, background: context }
    ;(context as unknown as Follows)[whenDurable](() => {
      emitFlow(run, 'flow.started', {})
      if (!end) return
      noteRunEnd(this.#entitiesOf(context), run, end)
      emitFlow(run, 'flow.ended', { end, startedAt: born.startedAt })
    })
    return [end, next]
  }

  #terms(context: RunContext): ActivationTerms {
    const { id, system } = context
    return {
      workflow: this.workflow,
      id,
      system,
      entities: this.#entitiesOf(context),
      present: this.presentOf(context),
      isSecond: false,
    }
  }

  /**
   * Begins an activation when this turn is durable, or goes on with one that has begun in it.
   * `reached`: as in the terms of an activation.
   */
  begin(context: RunContext, begun?: RunActivation, reached?: number): void {
    const terms = this.#terms(context)
    context.background(async (background) => {
      let activation = begun ?? new RunActivation({ ...terms, reached })
      for (;;) {
        const next = await activation.run(background as RunBackground)
        if (next === 'rest') return
        activation = new RunActivation({ ...terms, isSecond: next === 'replay' })
      }
    })
  }

  /** Calls the activation of a run, if there is one, when this turn is durable. */
  notify(context: RunContext, notify: (activation: Notified) => void): void {
    const present = this.presentOf(context)
    context.background(() => present.activation && notify(present.activation))
  }

  /**
   * The run has something to do: its activation is called, or begins. Between two tries of the whole
   * run only a cancel begins one. `reached`: the last place of the run when it came to rest.
   */
  goOn(
    state: RunState,
    context: RunContext,
    notify: (activation: Notified) => void,
    reached = state.outcomes,
  ): State {
    if (isLive(state.status)) {
      this.notify(context, notify)
      return state
    }
    if (isBetweenTries(state) && !state.cancel) return state
    this.begin(context, undefined, reached)
    context.cancelAlarm('timer')
    const { isHeld, waitsFor, ...rest } = state
    const begins = isHeld && waitsFor?.kind === 'queue'
    const begun = begins ? Object.assign(rest, { queue: waitsFor.name }) : rest
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
    const { error: _, isHeld, waitsFor: __, ...state } = ended
    ;(context as unknown as Follows)[whenDurable](() =>
      noteResumed(
        this.#entitiesOf(context),
        { type: this.workflow.name, id: context.id },
        ended.status,
      ),
    )
    if (this.workflow.options.queue !== undefined)
      return this.entering(isHeld ? state : { ...state, hasBegun: true }, context)
    this.begin(context)
    return withStatus(state, 'running', context)
  }
}
