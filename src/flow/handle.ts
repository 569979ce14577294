/** `flow(app)`: starts runs and looks at them. */
import { KeelsonError } from '../errors.ts'
import { call, type Ref } from '../runtime/index.ts'
import type { AppContext } from '../supervisors/index.ts'
import type { Workflow } from './body.ts'
import type { RunMessages } from './messages.ts'
import { runKind } from './parts.ts'
import {
  type AddedJob,
  addJobs,
  type DeadOptions,
  type DeadPage,
  deadJobs,
  type JobOptions,
  lookAtQueue,
  pauseQueue,
  retryJob,
} from './queue/queue-handle.ts'
import type { QueueLook } from './queue/queue-messages.ts'
import type { Queue } from './queue/queue-terms.ts'
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

  /**
   * Adds a job to a queue, and answers when that is durable. `repeated`: another job has its
   * `unique` text, and its id is answered.
   * @throws KeelsonError `BUSY` when the queue is full; `TOO_LARGE` for a job of more than 960 KiB;
   * `INVALID_ARGUMENT`; `NO_SPACE`, `SHARD_DOWN`, `UNKNOWN_OUTCOME`, `CLOSED`
   */
  async add<J>(queue: Queue<J>, job: J, options: JobOptions = {}): Promise<AddedJob> {
    const [added] = await addJobs(this.#app, queue, [job], () => options)
    return added as AddedJob
  }

  /**
   * Adds many jobs, in pieces of 500: a piece is added whole or not at all, and a call that fails
   * may have added earlier pieces. `optionsOf` gives the options of each.
   * @throws KeelsonError as `add`
   */
  addMany<J>(
    queue: Queue<J>,
    jobs: readonly J[],
    optionsOf: (job: J) => JobOptions = () => ({}),
  ): Promise<AddedJob[]> {
    return addJobs(this.#app, queue, jobs, optionsOf)
  }

  /** Lets no more jobs of a queue start. Jobs that run go on. It stays so over restarts. */
  pause<J>(queue: Queue<J>): Promise<void> {
    return pauseQueue(this.#app, queue as Queue, true)
  }

  /** Lets the jobs of a paused queue start. */
  resume<J>(queue: Queue<J>): Promise<void> {
    return pauseQueue(this.#app, queue as Queue, false)
  }

  /** How many jobs of a queue are where. It reads no job. */
  counts<J>(queue: Queue<J>): Promise<QueueLook> {
    return lookAtQueue(this.#app, queue as Queue)
  }

  /** A page of the dead jobs of a queue, 100 by default. It wakes nobody. */
  dead<J>(queue: Queue<J>, options: DeadOptions = {}): DeadPage<J> {
    return deadJobs(this.#app, queue, options)
  }

  /**
   * Lets a dead job run again, with all its tries. False: no dead job has this id.
   * @throws KeelsonError `CONFLICT` when another job has its `unique` text
   */
  retry<J>(queue: Queue<J>, id: string): Promise<boolean> {
    return retryJob(this.#app, queue as Queue, id)
  }

  #ref<I, O>({ name }: Workflow<I, O>, id: string): Ref<RunMessages> {
    return this.#app.entity<RunMessages>(runKind(name)).ref(id) as Ref<RunMessages>
  }
}

/** The workflows and queues of an instance: `flow(app)`, in its processes `flow(context.app)`. */
export const flow = (app: FlowApp): Flow => new Flow(app)
