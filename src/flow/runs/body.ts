/** The types of workflows: what their bodies get and do. Types only. */
import type { Retry } from '../../clock.ts'
import type { AppContext } from '../../runtime/index.ts'
import type { InferInput, InferOutput, Parse, StandardSchema } from '../../schema.ts'
import type { AttributeValue } from '../attributes/attributes.ts'
import type { FlowPart } from './parts.ts'
import type { RunStatus } from './record.ts'

/** A time: ms, or a number with `ms`, `s`, `m`, `h` or `d`, such as `'90s'`. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`

/** A stream of a run, for its body. */
export interface BodyStream<T = unknown> {
  readonly name: string
  /**
   * Appends a message. There is no promise. Another message than before in a replay blocks the run with
   * `DIVERGED`.
   * @throws KeelsonError `INVALID_ARGUMENT` for a value that JSON would change; `TOO_LARGE` for more than
   * 1 MiB between two operations
   */
  append(message: T): void
}

/** One try of a step, or of a job. */
export type Try = {
  /** The instance that it runs in: its actors, its store, its other runs and queues. */
  readonly app: AppContext
  /**
   * `flow/type/id/birth/round/key`: the same at each try of a step, and of no other step. Give it to
   * the outside world as the idempotency key.
   */
  readonly key: string
  /** From 1. */
  readonly attempt: number
  /** Aborts at the time-out, when the run is cancelled, and when this activation of the run ends. */
  readonly signal: AbortSignal
}

/** How a try of a step opens a stream. */
export type StepStreamOptions = {
  /**
   * How a further try treats the messages of the tries before. `'same'` (default): message n of this
   * try is message n of the last one, and is there once; another message is `CONFLICT`, and the step is
   * not tried again. `'continue'`: its messages follow them, see `sent`. A function makes a message that
   * goes before those of this try: it says to readers that the messages of the step before it do not
   * count. It gets the number of the try, and is called if there are any.
   */
  readonly retry?: 'same' | 'continue' | ((attempt: number) => unknown)
}

/** A stream of a run, for one try of a step. */
export interface StepStream<T = unknown> {
  readonly name: string
  /**
   * Appends a message, and resolves with its offset once it is durable. Nobody has to wait for it: the
   * step has its outcome after its messages, and fails with the first one that fails.
   * @throws KeelsonError `INVALID_ARGUMENT` for a value that JSON would change; `TOO_LARGE`; `CONFLICT`
   * for another message than in a try before; `FENCED` if a later try has begun; as every write does
   */
  append(message: T): Promise<string>
  /** The messages that the tries before this one have left in the stream. */
  sent(): Promise<readonly T[]>
}

/** One try of a step of a run. */
export type StepTry = Try & {
  /**
   * A stream of the run. From then on no earlier try appends to it, and none of a process that was
   * killed. The same stream at each call of one try. Names as of `ctx.stream`.
   * @throws KeelsonError `INVALID_ARGUMENT`, `TOO_LARGE`; as every write does
   */
  readonly stream: <T = unknown>(
    name: string,
    options?: StepStreamOptions,
  ) => Promise<StepStream<T>>
}

/** A step that is undone. `value`: its outcome; without one it may have run, in part or not at all. */
export type Undo<T> = {
  readonly app: AppContext
  /** The key of the tries of the step. */
  readonly key: string
  readonly value: T | undefined
  readonly signal: AbortSignal
}

/** The options of a step. */
export type StepOptions<T = never> = {
  /** By default 3 tries, after 1 s, doubling to 60 s, less up to 20 %. */
  readonly retry?: Retry | undefined
  /** A try that takes longer has failed: its signal aborts, and its late value is dropped. */
  readonly timeout?: Duration | undefined
  /**
   * `once`: the step has one try, whose start is recorded before. If a crash hits between its start
   * and its outcome, the run is blocked with `UNKNOWN_STEP`. By default a step is `safe` to repeat
   * under its key.
   */
  readonly repeat?: 'safe' | 'once'
  /** Runs if the run does not complete; 20 tries, then the run is blocked. */
  readonly undo?: (did: Undo<T>) => unknown
}

/** The options of a wait for a signal. */
export type WaitOptions = {
  /** By default `name#1`, `name#2` and so on, in the order of asking. */
  readonly key?: string
}

/** The options of a child. */
export type ChildOptions = {
  /** By default a hash of the run and the key. */
  readonly id?: string
  /** Whether the child ends with its parent; `cancel`. */
  readonly onCancel?: 'cancel' | 'abandon'
  /** As of a start. A child has none of its parent's. */
  readonly attributes?: StartRunOptions['attributes']
}

/** The options of `all`. */
export type AllOptions = {
  /** How many branches have to succeed: `all` by default, `any` for one. */
  readonly wait?: 'all' | 'any' | number
  /** The most branches that run at once; no limit by default. */
  readonly atOnce?: number
  /** `fail`: the first failure rejects and cancels the rest. `collect`: failures are results. */
  readonly onFailure?: 'fail' | 'collect'
}

/** The end of a branch. A branch that `all` has cancelled has a `CANCELLED` as its error. */
export type Branch<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: unknown }

/**
 * The context of a run's body: its operations. Keys are unique in a run, of 1 to 256 bytes, and do
 * not begin with `$` or `undo:`. An operation whose key was used before is `INVALID_ARGUMENT`;
 * beyond 10,000 it is `TOO_MANY_STEPS`, beyond 1,000 in flight `BUSY`. A refusal comes in the next
 * turn of the event loop; a body that gets nothing else for 1,000 turns is blocked with `STUCK`. In a
 * cancelled run each rejects with `CANCELLED`, in one turn: a body that asks again then has ended. `S`: the signals that the run takes; `U`: the updates, as functions from
 * their values to their answers.
 */
export interface Ctx<S = object, U = object> {
  /** The id of the run. */
  readonly id: string
  /**
   * Calls `step`, tries it again if it throws, and resolves when one outcome is durable. After a
   * crash it resolves with that outcome. An error is given back with its name, message and code.
   * An outcome is `undefined`, or a value that can be stored: with `undefined` in a list, a function
   * or an instance of a class in it, the step is not tried again and rejects with
   * `INVALID_ARGUMENT`, which names the place in the value.
   */
  step<T>(
    key: string,
    step: (attempt: StepTry) => T | Promise<T>,
    options?: StepOptions<T>,
  ): Promise<T>
  /** Resolves after this time, or at a time in ms since 1970; never earlier. */
  sleep(key: string, time: Duration | { readonly at: number }): Promise<void>
  /** The value of the next signal of this name. With `timeout`: `undefined` if none comes. */
  waitFor<N extends keyof S & string>(name: N, options?: WaitOptions): Promise<S[N]>
  waitFor<N extends keyof S & string>(
    name: N,
    options: WaitOptions & { readonly timeout: Duration },
  ): Promise<S[N] | undefined>
  /**
   * Starts a run of another workflow, and resolves with its output.
   * @throws KeelsonError `INVALID_ARGUMENT` for an input that cannot be stored; `FAILED` or `CANCELLED`, with the error of the child as `cause`
   */
  child<I, O>(key: string, type: Workflow<I, O>, input: I, options?: ChildOptions): Promise<O>
  /**
   * Runs branches beside one another. The keys of a branch get the prefix `key/number/`. Resolves
   * when enough branches have succeeded, or all have ended; the rest is cancelled.
   */
  all<T>(
    key: string,
    branches: readonly ((ctx: Ctx<S, U>) => Promise<T>)[],
    options?: AllOptions,
  ): Promise<Branch<T>[]>
  /**
   * From here on `handler` takes the updates of this name, in the order in which they came, with
   * signals, also the ones from before. Each is an operation, so a replay takes it at the same place.
   * Its value, or its error, is the answer to the caller; an error does not end the run. It may use
   * `ctx`, whose keys get the prefix `name#number/`; the next update does not wait for its end. A body
   * that has completed waits for handlers that have begun.
   * @throws KeelsonError `INVALID_ARGUMENT` for a name that has a handler
   */
  onUpdate<N extends keyof U & string>(
    name: N,
    handler: (value: UpdateValue<U[N]>, ctx: Ctx<S, U>) => Answer<U[N]> | Promise<Answer<U[N]>>,
  ): void
  /**
   * Sets what `list` shows as the progress of the run. It is written soon, not at once.
   * @throws KeelsonError `INVALID_ARGUMENT` for a value that cannot be stored, `TOO_LARGE`
   */
  report(progress: unknown): void
  /**
   * Sets attributes of the run, by which `list` finds it with `where`; `null` and `undefined` remove one.
   * The others stay. Resolves when that is durable. It is an operation, so a replay sets nothing again.
   * @throws KeelsonError `INVALID_ARGUMENT`, also if the run would have more than 16
   */
  attributes(changes: Readonly<Record<string, AttributeValue | null | undefined>>): Promise<void>
  /**
   * A stream of this run. Its messages are in the log before the outcome of every later operation, each
   * once, however often the body is replayed. The end of the run closes it; `again` does not. A name
   * has 1 to 256 bytes without `{`, `}` and NUL, and a run has 64 streams.
   * @throws KeelsonError `INVALID_ARGUMENT`
   */
  stream<T = unknown>(name: string): BodyStream<T>
  /** The time of the last outcome, in ms since 1970: the same in each replay. */
  now(): number
  /** A number from 0 to 1, the same in each replay. */
  random(): number
  /** A UUID, the same in each replay. */
  uuid(): string
  /**
   * Whether this run goes the way of a change of its body: true from the first run that comes here
   * after the change, false for runs that were beyond this place.
   */
  patched(change: string): boolean
  /**
   * Ends this body, and begins a new one with another input under the same id.
   * @throws KeelsonError `INVALID_ARGUMENT` for an input that cannot be stored
   */
  again(input: unknown): never
}

/**
 * The body of a workflow. It is replayed, so it acts through `ctx` alone. If what it returns cannot
 * be stored, as a list with `undefined` in it, the run is blocked before its end: nothing is undone,
 * and a body that returns another value completes it after `retry`.
 */
export type Body<I, O, S = object, U = object> = (ctx: Ctx<S, U>, input: I) => Promise<O>

/** The value of an update. */
export type UpdateValue<F> = F extends (...args: infer A) => unknown ? A[0] : never

/** The answer of an update. */
export type Answer<F> = F extends (...args: never) => infer A ? Awaited<A> : never

/** How long ended runs are kept, by their status. */
export type Keep = {
  /** 7 days by default. */
  readonly completed?: Duration
  /** 30 days by default. */
  readonly failed?: Duration
  /** 30 days by default. */
  readonly cancelled?: Duration
}

/**
 * The queries of a workflow by their names. Each is a pure function of what the body has reported
 * last, or `undefined`, and of the argument of its caller.
 */
export type Queries = Readonly<
  Record<string, ((reported: never, argument: never) => unknown) | QuerySchemas>
>

// The schemas of a workflow: what its callers give and get, and what its body does, by what each takes and makes.

/** An update with schemas: of its value, and of the answer that its handler gives. */
export type UpdateSchemas<Given = unknown, Got = unknown, Made = unknown, Answered = unknown> = {
  readonly input: StandardSchema<Given, Got>
  readonly output?: StandardSchema<Made, Answered>
}

/** A query whose argument has a schema. */
export type QuerySchemas<Given = unknown, Got = unknown> = {
  readonly input: StandardSchema<Given, Got>
  readonly answer: (reported: never, argument: never) => unknown
}

/** The terms of an update: a schema of its value, schemas, or a check at the caller. */
type UpdateTerm<F> =
  | StandardSchema<unknown, UpdateValue<F>>
  | UpdateSchemas<unknown, UpdateValue<F>, Answer<F>>
  | ((value: UpdateValue<F>) => unknown)

/** A name that the body takes, if its context says which. */
type KnownNames<Given, Known> = {
  readonly [N in keyof Given]: [keyof Known] extends [never]
    ? unknown
    : N extends keyof Known
      ? unknown
      : never
}

/** The schema of the value of an update, if it has one. */
type ValueSchema<T> = T extends StandardSchema
  ? T
  : T extends { readonly input: infer Schema }
    ? Schema
    : never

/** The names that have a schema of their value. */
type WithSchema<V> = { [N in keyof V]: [ValueSchema<V[N]>] extends [never] ? never : N }[keyof V]

type AnswerSchema<T> = T extends StandardSchema
  ? never
  : T extends { readonly output: infer Schema extends StandardSchema }
    ? Schema
    : never

/** The updates of a body by their schemas. */
export type UpdatesOfBody<V> = {
  readonly [N in WithSchema<V>]: (
    value: InferOutput<ValueSchema<V[N]>>,
  ) => [AnswerSchema<V[N]>] extends [never] ? unknown : InferInput<AnswerSchema<V[N]>>
}

/** The updates of a run for its callers. `U`: the ones in the context of its body. */
export type UpdatesOfCaller<U, V> = [WithSchema<V>] extends [never]
  ? U
  : Omit<U, WithSchema<V>> & {
      readonly [N in WithSchema<V>]: (
        value: InferInput<ValueSchema<V[N]>>,
      ) => [AnswerSchema<V[N]>] extends [never]
        ? N extends keyof U
          ? Answer<U[N]>
          : unknown
        : InferOutput<AnswerSchema<V[N]>>
    }

/** The signals of a run for its callers. `S`: the ones in the context of its body. */
export type SignalsOfCaller<S, G> = [keyof G] extends [never]
  ? S
  : Omit<S, keyof G> & { readonly [N in keyof G]: InferInput<G[N]> }

/** The argument that a query gets is what its schema makes. */
type QueryTerms<Q> = {
  readonly [N in keyof Q]: Q[N] extends { readonly input: infer Schema }
    ? {
        readonly input: unknown
        readonly answer: (reported: never, argument: InferOutput<Schema>) => unknown
      }
    : unknown
}

/**
 * The schemas of a workflow. Each value is parsed once, where it enters, and what the schema makes of it
 * is stored and handled. `I`, `O`, `S` and `U` are those of the body.
 */
type WorkflowSchemas<I, O, S, Q extends Queries, U, CI, CO, G, V> = {
  /** Of the input, parsed at the start. */
  readonly input?: StandardSchema<CI, I>
  /** Of the output, parsed when the body has returned it: one that is refused fails the run. */
  readonly output?: StandardSchema<O, CO>
  /** Of the values of signals by their names, each parsed at its caller. */
  readonly signals?: G & { readonly [N in keyof S]?: StandardSchema<unknown, S[N]> } & KnownNames<
      G,
      S
    >
  /**
   * Schemas of updates by their names, each parsed at its caller: of the value, or `{ input, output }`
   * with that of the answer. Or a check, which gets the value at the caller and refuses it by its error.
   */
  readonly updates?: V & { readonly [N in keyof NoInfer<U>]?: UpdateTerm<U[N]> } & KnownNames<V, U>
  readonly queries?: Q & QueryTerms<Q>
}

/** The options of a workflow that are no functions or schemas. */
type WorkflowTerms = {
  /** The version of the body, from 1. */
  readonly version?: number
  /** Older bodies by their versions, for runs that began with them. */
  readonly previous?: Readonly<Record<number, UntypedBody>>
  /** The time of a whole run; then it is cancelled. */
  readonly deadline?: Duration
  /** Tries of the whole run, counted from one after `again`; by default 1. */
  readonly retry?: Retry
  /** The options of steps that have none of their own. */
  readonly stepDefaults?: Pick<StepOptions, 'retry' | 'timeout'>
  readonly keep?: Keep
  /** The most operations of a run; 10,000. */
  readonly stepsMax?: number
  /** The name of a queue without a handler: a run begins when it has a place there. */
  readonly queue?: string
}

/** The options of a workflow, with its schemas. The types are as of `WorkflowSchemas`. */
export type OptionsOfWorkflow<I, O, S, Q extends Queries, U, CI, CO, G, V> = WorkflowTerms &
  WorkflowSchemas<I, O, S, Q, U, CI, CO, G, V>

/** The options of a workflow without schemas. */
export type WorkflowOptions<Q extends Queries = Queries, U = object> = WorkflowTerms & {
  /**
   * Checks of updates by their names. Each gets the value at the caller, before anything is stored,
   * and refuses it by its error.
   */
  readonly updates?: { readonly [N in keyof U]?: (value: UpdateValue<U[N]>) => unknown }
  readonly queries?: Q
}

/** The terms of an update, checked. */
export type CheckedUpdate = {
  readonly check?: (value: unknown) => unknown
  readonly input?: Parse
  readonly output?: Parse | undefined
}

/** A query, checked. */
export type CheckedQuery = {
  readonly input?: Parse
  readonly answer: (reported: never, argument: never) => unknown
}

/** The options of a workflow, checked: with defaults, and durations in ms. */
export type CheckedOptions = {
  readonly input: Parse | undefined
  readonly output: Parse | undefined
  readonly signals: Readonly<Record<string, Parse>>
  readonly updates: Readonly<Record<string, CheckedUpdate>>
  readonly queries: Readonly<Record<string, CheckedQuery>>
  readonly version: number
  readonly previous: Readonly<Record<number, UntypedBody>>
  readonly deadline: number | undefined
  readonly retry: Retry | undefined
  readonly stepDefaults: {
    readonly retry: Retry | undefined
    readonly timeout: number | undefined
  }
  readonly keep: { readonly [K in keyof Keep]-?: number }
  readonly stepsMax: number
  readonly queue: string | undefined
}

/** A body without its types. */
export type UntypedBody = (ctx: Ctx<never>, input: never) => Promise<unknown>

declare const types: unique symbol

/**
 * A workflow: its runs take an `I`, end with an `O`, take the signals `S`, answer the queries `Q` and
 * the updates `U`.
 */
export interface Workflow<I = never, O = unknown, S = never, Q = unknown, U = unknown>
  extends FlowPart {
  readonly sort: 'workflow'
  readonly body: UntypedBody
  readonly options: CheckedOptions
  readonly [types]?: {
    readonly input: (input: I) => void
    readonly output: O
    readonly signals: (signals: S) => void
    readonly queries: Q
    readonly updates: U
  }
}

/** A workflow, by what is known of all of them. */
export type AnyWorkflow = Pick<Workflow, 'name' | 'sort'>

/**
 * Conditions on runs: each attribute has exactly this value, and the run this status. `undefined` is no
 * condition.
 */
export type Where = Readonly<Record<string, AttributeValue | undefined>> & {
  readonly status?: RunStatus
}

/** The options of a start. */
export type StartRunOptions = {
  /** The id of the run: 1 to 256 bytes of well-formed text without `{`, `}` and NUL. */
  readonly id: string
  /** The body begins after this time. */
  readonly delay?: Duration
  /** The time of the whole run, from the start; then it is cancelled. */
  readonly deadline?: Duration
  /** In the queue of the workflow, which it must have: the higher number goes first. */
  readonly priority?: number
  /** The key in that queue, such as the id of a customer: 1 to 256 bytes. */
  readonly key?: string
  /** A word by which `list` finds runs that belong together. */
  readonly correlation?: string
  /**
   * Values by which `list` finds the run with `where`: at most 16 texts, finite numbers and booleans. A
   * text has at most 256 bytes and no control characters. A name is a letter, then letters, digits, `_`,
   * `-` and `.`, at most 64; `state` and `status` are taken. `undefined` is no attribute.
   */
  readonly attributes?: Readonly<Record<string, AttributeValue | undefined>>
}
