/**
 * `flow(context)` in a handler of a durable actor: starts, signals and jobs that become durable with its
 * turn. Each is a call that the turn records; the actor makes it when the turn is durable, and again until
 * it is answered.
 */

import { type AddsCalls, addsCall } from '../../actors/index.ts'
import { invalidArgument } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { type JobOptions, sentJob } from '../queue/queue-handle.ts'
import type { Queue } from '../queue/queue-terms.ts'
import type { AnyWorkflow, StartRunOptions, Workflow } from '../runs/body.ts'
import { exactly, startOf, workflowOf } from '../runs/options.ts'
import { entitiesOf, queueId, queueKind, runKind } from '../runs/parts.ts'
import { hashOfText, signalTooLarge } from '../runs/values.ts'
import { inputFor, signalOf } from './run-handle.ts'

/** The context of a turn of a durable actor. */
export type FlowTurnContext = { readonly app: unknown; addContinue(...given: never[]): string }

/**
 * Starts runs, sends signals and adds jobs with a turn of a durable actor: they come about if the turn
 * does, once, whatever crashes. Calls to one run or one queue keep their order. A refusal
 * by the run or the queue, such as `CONFLICT` or `BUSY`, is a failed step of the actor: it is tried again as
 * `retry` of its kind says.
 */
export class FlowOfTurn {
  readonly #context: FlowTurnContext

  /** @internal For `flow`. */
  constructor(context: FlowTurnContext) {
    this.#context = context
  }

  /**
   * Starts a run when this turn is durable. The same id and input give the same run.
   * @throws KeelsonError `INVALID_ARGUMENT`, also for a workflow that is not in the tree
   */
  start<I, O, S>(
    type: Workflow<I, O, S>,
    input: I,
    options: StartRunOptions,
    ...surplus: []
  ): void {
    exactly('start(type, input, { id, … })', surplus)
    const { id, ...others } = startOf(type, options)
    const request = { ...inputFor(this.#context.app, type, input), ...others }
    this.#addsCall(type, id, 'start', () => request)
  }

  /**
   * Sends a signal when this turn is durable.
   * @throws KeelsonError `INVALID_ARGUMENT`; `TOO_LARGE` for a value of more than 1 MiB
   */
  signal<S, N extends keyof S & string>(
    type: Workflow<never, unknown, S>,
    id: string,
    name: N,
    value: S[N],
    options: { readonly id?: string } = noOptions,
    ...surplus: []
  ): void {
    exactly('signal(type, id, name, value, { id })', surplus)
    const request = signalOf(this.#context.app, type, name, value, options)
    const refused = signalTooLarge(request.value)
    if (refused) throw refused
    this.#addsCall(type, id, 'signal', (step) => ({ ...request, id: request.id ?? step }))
  }

  /**
   * Adds a job when this turn is durable. Its queue knows the step for seven days: a program that was
   * down for longer between the two may add it twice.
   * @throws KeelsonError `INVALID_ARGUMENT`, `TOO_LARGE`
   */
  add<J>(queue: Queue<J>, job: J, options: JobOptions = noOptions, ...surplus: []): void {
    exactly('add(queue, job, { key, … })', surplus)
    if (queue?.sort !== 'queue' || queue.takesRuns)
      throw invalidArgument('queue', 'a queue with a handler', queue?.name)
    entitiesOf(this.#context.app, 'queue', queue.name)
    const sent = sentJob(job, options, queue.input)
    const target = { kind: queueKind(queue.name), id: queueId }
    this.#calls[addsCall](target, 'add', (step) => [
      { ...sent, recorded: hashOfText(step).toString('hex') },
    ])
  }

  #addsCall(type: AnyWorkflow, id: string, name: string, of: (step: string) => unknown): void {
    const { name: workflow } = workflowOf(type)
    entitiesOf(this.#context.app, 'workflow', workflow).ref(id)
    this.#calls[addsCall]({ kind: runKind(workflow), id }, name, of)
  }

  get #calls(): AddsCalls {
    return this.#context as never
  }
}
