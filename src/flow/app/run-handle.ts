/** `Handle`: what a caller has of one run. It is apart from `flow(app)`, as the handle of a job is. */

import type { StreamSource } from '../../actors/index.ts'
import { argument } from '../../check.ts'
import { errorOf, invalidArgument } from '../../errors.ts'
import { noOptions, ownOf } from '../../own-names.ts'
import { call } from '../../runtime/index.ts'
import type { InferInput } from '../../schema.ts'
import type { AppContext } from '../../supervisors/index.ts'
import type {
  Answer,
  AnyWorkflow,
  CheckedOptions,
  StartRunOptions,
  UpdateValue,
  Workflow,
} from '../runs/body.ts'
import type { RunEnd, RunMessages, SignalRequest } from '../runs/messages.ts'
import {
  cancelOptions,
  exactly,
  keyText,
  resultOptions,
  signalOptions,
  startOf,
  updateOptions,
  workflowOf,
} from '../runs/options.ts'
import {
  answerOf,
  declaredPart,
  type EndOptions,
  entitiesOf,
  failure,
  lastingAnswer,
} from '../runs/parts.ts'
import type { RunState, RunStatus } from '../runs/record.ts'
import { notNow } from '../runs/turns.ts'
import { copied, hashOf, type Input, ifStorable, parsedInput } from '../runs/values.ts'

/** The answer to a cancel. False: the run had ended, or its end had begun, with this status. */
export type Cancelled = { readonly accepted: boolean; readonly status: RunStatus }

/** The arguments of a query after what was reported. */
export type QueryArguments<F> = F extends (reported: never, ...rest: infer Rest) => unknown
  ? Rest
  : F extends { readonly input: infer Schema }
    ? [argument: InferInput<Schema>]
    : never

/** The answer of a query. */
export type QueryAnswer<F> = F extends (...args: never) => infer A
  ? Awaited<A>
  : F extends { readonly answer: (...args: never) => infer A }
    ? Awaited<A>
    : never

/**
 * A run of a workflow that ends with an `O`, takes the signals `S`, and answers the queries `Q` and the
 * updates `U`.
 */
export interface Handle<O = unknown, S = never, Q = unknown, U = unknown> {
  readonly id: string
  /** Whether the run had begun before this start. */
  readonly repeated: boolean
  /**
   * The output of the run. Waits for its end.
   * @throws KeelsonError `FAILED` or `CANCELLED`, with the error of the run as `cause`; `BLOCKED` if
   * it cannot go on; `CONFLICT` if it has not begun; `TIMEOUT` after `timeoutMs`, 30,000 by default,
   * the reason of `signal` when that aborts, `CLOSED` as soon as this instance closes, and `EXITED` if
   * the process of the run ends: the run goes on
   */
  result(options?: EndOptions): Promise<O>
  /**
   * Sends a signal, and answers when it is durable. A second one with the same `id` changes nothing,
   * and is answered after the end of the run too.
   * @throws KeelsonError `CONFLICT` if the run has ended or has not begun; `BUSY` with 1,000 unread
   * signals; `TOO_LARGE` for a value of more than 1 MiB; `INVALID_ARGUMENT` for one that cannot be
   * stored, and for a name that begins with `$` or `undo:`, which no body can wait for
   */
  signal<N extends keyof S & string>(
    name: N,
    value: S[N],
    options?: { readonly id?: string },
  ): Promise<{ readonly repeated: boolean }>
  /**
   * Calls the handler that the body has for this name (`ctx.onUpdate`), and resolves with its answer
   * when that is durable. An update from before the handler waits for it. With an `id` a second one
   * is the same, and gets the same answer, after the end of the run too: so ask again after
   * `TIMEOUT`, `CLOSED`, `EXITED` or `UNKNOWN_OUTCOME`, which leave the update with the run.
   * @throws KeelsonError the error of the handler; `FAILED`, `CANCELLED` or `BLOCKED` if the run gets
   * there before it answers; `CONFLICT` if it has ended, or has not begun, or its body completed or
   * began again before it answered, or it has another update with this `id`; `BUSY` with 1,000 unread signals and updates; `TOO_LARGE` for
   * more than 1 MiB; `TIMEOUT` after `timeoutMs`, 30,000 by default; the reason of `signal`; `CLOSED`,
   * `EXITED`
   */
  update<N extends keyof U & string>(
    name: N,
    value: UpdateValue<U[N]>,
    options?: EndOptions & { readonly id?: string },
  ): Promise<Answer<U[N]>>
  /**
   * Cancels the run, and answers when that is durable. No new step begins; the steps that the body
   * has asked for are undone. `force` ends the run at once without that; its children get a plain cancel.
   * Of `reason` the first 2,000 characters are kept.
   * @throws KeelsonError `CONFLICT` if it has not begun
   */
  cancel(options?: { readonly reason?: string; readonly force?: boolean }): Promise<Cancelled>
  /**
   * Answers a query from what the body has reported last, which is durable. It runs here, and calls
   * neither the run nor its body. An error of the query reaches the caller.
   * @throws KeelsonError `CONFLICT` if the run has not begun; `INVALID_ARGUMENT` for no such query
   */
  query<N extends keyof Q & string>(
    name: N,
    ...argument: QueryArguments<Q[N]>
  ): Promise<QueryAnswer<Q[N]>>
  /**
   * A stream that the body of the run writes, or a step, for its readers. It may begin later, and is
   * closed when the run has ended. It is deleted with the run: readers end with `BAD_CURSOR` then.
   * @throws KeelsonError `INVALID_ARGUMENT`
   */
  stream<T = unknown>(name: string): StreamSource<T>
}
/** The handle of a run. `known`: its end, for the first `result`. */
export const runHandle = <I, O, S, Q, U>(
  app: Pick<AppContext, 'entity'>,
  type: Workflow<I, O, S, Q, U>,
  id: string,
  repeated: boolean,
  known?: RunEnd,
): Handle<O, S, Q, U> => {
  const ref = entitiesOf<RunMessages>(app, 'workflow', workflowOf(type).name).ref(id)
  const run = { type: type.name, id }
  let left = known
  return {
    id,
    repeated,
    result: async (options = noOptions, ...surplus: []) => {
      exactly('result({ timeoutMs, signal })', surplus)
      const { timeoutMs, signal } = resultOptions(options, argument('', 'a result'))
      const asked = (): Promise<RunEnd> =>
        answerOf(app, run, call(ref, 'result', undefined, { timeoutMs, signal }), 'has not ended')
      const end = left ?? (await lastingAnswer(app, run, asked))
      // The value is the caller's: the next result has another copy.
      left = undefined
      if (end.status === 'completed') return end.output as O
      throw failure(type.name, id, end.status, end.error)
    },
    signal: async (name, value, options = noOptions, ...surplus: []) => {
      exactly('signal(name, value, { id })', surplus)
      const request = signalOf(app, type, name, value, options)
      return answerOf(app, run, call(ref, 'signal', request))
    },
    cancel: async (options = noOptions, ...surplus: []) => {
      exactly('cancel({ reason, force })', surplus)
      const request = cancelOptions(options, argument('', 'a cancel'))
      return answerOf(app, run, call(ref, 'cancel', request))
    },
    update: async (name, value, options = noOptions, ...surplus: []) => {
      exactly('update(name, value, { id, timeoutMs, signal })', surplus)
      const { timeoutMs, signal, ...others } = updateOptions(options, argument('', 'an update'))
      const checked = keyText(name, argument('name'))
      const of = `the update ${checked}`
      const { check, input } = ownOf(optionsOf(app, type)?.updates ?? {}, checked) ?? {}
      const sent = copied(input ? input(value, of) : value, of)
      const hash =
        input && others.id !== undefined ? ifStorable(() => hashOf({ name, value }, of)) : undefined
      const request = { name: checked, value: sent, ...others, ...(hash && { hash }) }
      await check?.(sent)
      const asked = () => {
        const answer = call(ref, 'update', request as SignalRequest, { timeoutMs, signal })
        return answerOf(app, run, answer, 'has not answered the update')
      }
      const answer = await lastingAnswer(app, run, asked)
      if (answer.kind === 'ok') return answer.value as never
      if (answer.kind === 'error') throw errorOf(answer.error)
      const { end } = answer
      if (end.status === 'completed') throw notNow('answer the update', id, end.status)
      throw failure(type.name, id, end.status, end.error)
    },
    stream: (name) => entitiesOf(app, 'workflow', workflowOf(type).name).stream(id, name),
    query: (name, ...given) => answered(app, type, id, name, given) as never,
  }
}

/** The options of a workflow, be it given by its name alone. */
const optionsOf = (app: unknown, type: AnyWorkflow): CheckedOptions | undefined =>
  declaredPart(app, 'workflow', type as Workflow, ({ options }) => options !== undefined)?.options

/** The input of a run, as the schema of its workflow makes it. @throws KeelsonError `INVALID_ARGUMENT` */
export const inputFor = (app: unknown, type: AnyWorkflow, input: unknown): Input =>
  parsedInput(input, optionsOf(app, type)?.input)

/** Starts a run. `input`: as `inputFor` makes it, or one that was parsed before. */
export const startRun = async <I, O, S, Q, U>(
  app: Pick<AppContext, 'entity'>,
  type: Workflow<I, O, S, Q, U>,
  inputOf: () => Input,
  options: StartRunOptions,
): Promise<Handle<O, S, Q, U>> => {
  const { id, ...others } = startOf(type, options)
  const ref = entitiesOf<RunMessages>(app, 'workflow', workflowOf(type).name).ref(id)
  const request = { ...inputOf(), ...others }
  const asked = call(ref, 'start', request)
  const { repeated, end } = await answerOf(app, { type: type.name, id }, asked)
  return runHandle(app, type, id, repeated, end)
}

/** A signal as it is sent, checked, and parsed if it has a schema. */
export const signalOf = (
  app: unknown,
  type: AnyWorkflow,
  name: unknown,
  value: unknown,
  options: { readonly id?: string },
) => {
  const checked = keyText(name, argument('name'))
  const of = `the signal ${checked}`
  const parse = ownOf(optionsOf(app, type)?.signals ?? {}, checked)
  return {
    name: checked,
    value: copied(parse ? parse(value, of) : value, of),
    ...signalOptions(options, argument('', 'a signal')),
  }
}

/** The answer to a query, which is called here, with what the body has reported last. */
const answered = async (
  app: Pick<AppContext, 'entity'>,
  type: Workflow,
  id: string,
  name: string,
  given: readonly unknown[],
): Promise<unknown> => {
  const queries = optionsOf(app, type)?.queries ?? {}
  const query = ownOf(queries, name)
  if (!query) throw invalidArgument('name', oneOfText(Object.keys(queries)), name)
  exactly('query(name, argument)', given.slice(1))
  const [argument] = given
  const parsed = query.input ? query.input(argument, `the argument of the query ${name}`) : argument
  const found = await entitiesOf(app, 'workflow', workflowOf(type).name).load(id)
  if (!found) throw notNow('answer a query', id, undefined)
  return query.answer((found as RunState).progress as never, parsed as never)
}

const oneOfText = (names: readonly string[]): string =>
  names.length > 0 ? `one of ${names.join(', ')}` : 'a query: its workflow has none'
