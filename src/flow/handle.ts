/** `flow(app)`: starts runs and looks at them. */
import { KeelsonError } from '../errors.ts'
import { call, type Ref } from '../runtime/index.ts'
import type { AppContext } from '../supervisors/index.ts'
import type { Workflow } from './body.ts'
import type { RunMessages } from './messages.ts'
import { runKind } from './parts.ts'
import { errorOf } from './record.ts'

/** The part of an instance that `flow` uses: `app`, or `context.app`. */
export type FlowApp = Pick<AppContext, 'entity'>

/** A run of a workflow that ends with an `O`. */
export interface Handle<O = unknown> {
  readonly id: string
  /** Whether the run had begun before this start. */
  readonly repeated: boolean
  /**
   * The output of the run. Waits for its end.
   * @throws KeelsonError `FAILED` with the error of the run as `cause`; `BLOCKED` while it cannot go
   * on; `TIMEOUT` after `timeoutMs`, 30,000 by default: the run goes on
   */
  result(options?: { readonly timeoutMs?: number }): Promise<O>
}

/** Starts runs and looks at them. */
export class Flow {
  readonly #app: FlowApp

  /** For `flow`. */
  constructor(app: FlowApp) {
    this.#app = app
  }

  /**
   * Starts a run, and answers when that is durable. The same id and input give the same run,
   * whatever became of it.
   * @throws KeelsonError `CONFLICT` if the run has begun with another input; `INVALID_ARGUMENT`;
   * `NO_SPACE`, `BUSY`, `SHARD_DOWN`, `UNKNOWN_OUTCOME`, `CLOSED`
   */
  async start<I, O>(
    type: Workflow<I, O>,
    input: I,
    { id }: { readonly id: string },
  ): Promise<Handle<O>> {
    const { repeated } = await call(this.#ref(type, id), 'start', { input })
    return this.#handle(type, id, repeated)
  }

  /** The run of this id, whether or not it has begun. */
  handle<I, O>(type: Workflow<I, O>, id: string): Handle<O> {
    return this.#handle(type, id, true)
  }

  #handle<I, O>(type: Workflow<I, O>, id: string, repeated: boolean): Handle<O> {
    const result: Handle<O>['result'] = async ({ timeoutMs = 30_000 } = {}) => {
      const end = await call(this.#ref(type, id), 'result', undefined, { timeoutMs })
      if (end.status === 'completed') return end.output as O
      const cause = errorOf(end.error)
      const details = { type: type.name, id, status: end.status }
      const code = end.status === 'blocked' ? 'BLOCKED' : 'FAILED'
      const text = `the run ${id} of ${type.name} is ${end.status}: ${cause.message}`
      throw new KeelsonError(code, text, { details, cause })
    }
    return { id, repeated, result }
  }

  #ref<I, O>({ name }: Workflow<I, O>, id: string): Ref<RunMessages> {
    return this.#app.entity<RunMessages>(runKind(name)).ref(id) as Ref<RunMessages>
  }
}

/** The workflows and queues of an instance: `flow(app)`, in its processes `flow(context.app)`. */
export const flow = (app: FlowApp): Flow => new Flow(app)
