/**
 * The context of a run's body, and of the branches of `all`: from calls to operations, and from failures
 * that a body leaves unhandled to the block of its run. It is apart from the activation, as a body sees no
 * more than this.
 */
import { checkStreamName, messageText, shardTime } from '../../actors/index.ts'
import { argument } from '../../check.ts'
import { errorOf, invalidArgument, KeelsonError, type KeptError, keptError } from '../../errors.ts'
import { failureRecord } from '../../failure-record.ts'
import { noOptions, ownOf } from '../../own-names.ts'
import { claim } from '../../process-events.ts'
import type { Parse } from '../../schema.ts'
import { attributeChanges } from '../attributes/attributes.ts'
import type {
  AllOptions,
  BodyStream,
  Branch,
  CheckedOptions,
  ChildOptions,
  Ctx,
  Duration,
  StepOptions,
  StepTry,
  WaitOptions,
  Workflow,
} from './body.ts'
import { policyOf } from './decide.ts'
import type { RunBackground } from './messages.ts'
import { type Active, type ActiveParts, answerOf, type Scope } from './operations.ts'
import {
  allOptions,
  childOptions,
  keyText,
  msOf,
  stepOptions,
  timeAt,
  waitOptions,
  workflowOf,
} from './options.ts'
import type { RunState } from './record.ts'
import type { Replay } from './replay.ts'
import type { SaidMessages } from './said.ts'
import { copied, hashOfText, type Input, inputOf, parsedInput, progressOf } from './values.ts'

/** The activation of a run, for the context of its body. */
export interface BodyHost {
  readonly workflow: Workflow
  readonly type: string
  readonly id: string
  readonly background: RunBackground
  /** The state at the beginning of this activation. */
  readonly state: RunState
  /** The body has ended. */
  readonly isBodyOver: boolean
  /** The time of the last outcome. */
  readonly time: number
  readonly replay: Pick<Replay, 'knows'>
  ask(parts: ActiveParts): Active
  /** The body waits no more for the operations of this scope, which stay unsettled. */
  leave(scope: Scope, reason: unknown): void
  /** @throws KeelsonError `CLOSED` after the body */
  expectOpen(): void
  /** @throws KeelsonError the same, and `INVALID_ARGUMENT` in the function of a step */
  expectBody(): void
  /** Brings a refusal to the body, in the next turn of the event loop. */
  refuse(reject: () => void): void
  /** Ends the body, which begins once more. */
  again(input: unknown): void
  /** A body that has called `again` in a loop may catch what it throws: it throws once. */
  readonly hasBegunAgain: boolean
  /** How often the body has asked for what it numbers. */
  readonly counters: Map<string, number>
  patched(change: string): boolean
  report(progress: unknown): void
  /** The messages of the body for streams in this activation; `undefined`: none. */
  readonly said: SaidMessages | undefined
  /** @throws KeelsonError `TOO_LARGE`, `DIVERGED` */
  say(stream: string, text: string): void
  readonly cancelled: Error
  /** Claims an error that the body gets, of the operation that `what` names. */
  readonly unhandled: {
    claim(reason: unknown, what: string, of?: { readonly isHeard: boolean }): void
    readonly first: () => Promise<KeptError | undefined>
  }
  /** The updates that the body has, and has not answered. */
  readonly handling: Set<Promise<unknown>>
}

type AnyAttempt = (attempt: StepTry) => unknown

type UpdateHandler = (value: unknown, ctx: RunCtx) => unknown

/** The next number of this counter. */
const next = ({ counters }: BodyHost, what: string): number => {
  const number = (counters.get(what) ?? 0) + 1
  counters.set(what, number)
  return number
}

/** The context of one scope of a run. */
export class RunCtx implements Ctx<Record<string, unknown>> {
  readonly #host: BodyHost
  readonly #scope: Scope

  constructor(host: BodyHost, scope: Scope) {
    this.#host = host
    this.#scope = scope
  }

  get id(): string {
    return this.#host.id
  }

  step<T>(key: string, step: AnyAttempt, options: StepOptions<T> = noOptions): Promise<T> {
    return this.#asks(`step ${key}`, () => {
      const host = this.#host
      const { stepDefaults } = host.workflow.options
      const checked = stepOptions(options, argument('', 'a step'))
      const { retry, repeat, undo, timeout: timeoutMs = stepDefaults.timeout } = checked
      if (typeof step !== 'function') throw invalidArgument('step', 'a function', step)
      if (repeat === 'once' && retry && retry.max !== 1)
        throw invalidArgument('retry.max', "1 of a step with repeat: 'once'", retry.max)
      const full = this.#keyOf(key)
      const policy = policyOf(stepDefaults.retry, retry)
      const { promise } = host.ask({
        kind: 'step',
        key: full,
        scope: this.#scope,
        triesMax: repeat === 'once' ? 1 : policy.max,
        step: { run: step, policy, timeoutMs, repeat },
        undo,
      })
      return promise as Promise<T>
    })
  }

  sleep(key: string, time: Duration | { readonly at: number }): Promise<void> {
    return this.#asks(`sleep ${key}`, () => {
      const host = this.#host
      const at = this.#timeOf(time, 'time')
      const sleep = { kind: 'sleep', key: this.#keyOf(key), scope: this.#scope, at } as const
      return host.ask(sleep).promise.then(() => undefined)
    })
  }

  /** A time counts from the moment in which the operation begins. */
  #timeOf(time: Duration | { readonly at: number }, path: string): () => number {
    if (typeof time === 'object') {
      const { at } = timeAt(time, argument(path))
      return () => shardTime(this.#host.background).ofWall(at)
    }
    const ms = msOf(time, path)
    return () => shardTime(this.#host.background).now() + ms
  }

  waitFor(
    name: string,
    options: WaitOptions & { readonly timeout?: Duration } = noOptions,
  ): Promise<never> {
    return this.#asks(`wait ${name}`, () => {
      const host = this.#host
      const { key, timeout } = waitOptions(options, argument('', 'a wait'))
      checkKey(name, 'name')
      const at = timeout === undefined ? undefined : this.#timeOf(timeout, 'timeout')
      const own = key ?? `${name}#${next(host, `wait ${name}`)}`
      const full = key === undefined ? own : this.#keyOf(own)
      const { promise } = host.ask({
        kind: 'wait',
        key: full,
        scope: this.#scope,
        signal: name,
        at,
      })
      return promise as Promise<never>
    })
  }

  child<I, O>(
    key: string,
    type: Workflow<I, O>,
    input: I,
    options: ChildOptions = noOptions,
  ): Promise<O> {
    return this.#asks(`child ${key}`, () => {
      const host = this.#host
      workflowOf(type)
      const { id, onCancel, attributes } = childOptions(options, argument('', 'a child'))
      const full = this.#keyOf(key)
      const own = childInput(host.replay, full, type, input)
      const { promise } = host.ask({
        kind: 'child',
        key: full,
        type: type.name,
        scope: this.#scope,
        child: { id, input: own, attributes, isAbandoned: onCancel === 'abandon' },
      })
      return promise as Promise<O>
    })
  }

  all<T>(
    key: string,
    branches: readonly ((ctx: never) => Promise<T>)[],
    options: AllOptions = noOptions,
  ): Promise<Branch<T>[]> {
    return this.#asks(`all ${key}`, () => {
      const checked = allOptions(options, argument('', 'all'))
      const { wait, atOnce = Number.POSITIVE_INFINITY, onFailure } = checked
      if (!Array.isArray(branches) || branches.some((branch) => typeof branch !== 'function'))
        throw invalidArgument('branches', 'a list of functions', branches)
      const { length } = branches
      const needed = wait === 'all' ? length : wait === 'any' ? 1 : wait
      if (needed > length) throw invalidArgument('wait', `at most the ${length} branches`, wait)
      const scope = this.#scope.branch(`${checkKey(key, 'key')}/`)
      const ends = new Array<Branch<T> | undefined>(length)
      let [begun, ended, succeeded, isDone] = [0, 0, 0, false]
      return new Promise((resolve, reject) => {
        const finish = (): void => {
          isDone = true
          this.#host.leave(scope, this.#host.cancelled)
          resolve([...ends].map((end) => end ?? { ok: false, error: this.#host.cancelled }))
        }
        const begin = (): void => {
          while (begun < length && begun - ended < atOnce) run(begun++)
        }
        const run = (at: number): void => {
          const ctx = new RunCtx(this.#host, scope.branch(`${at}/`))
          const branch = (async () => branches[at]?.(ctx as never) as Promise<T>)()
          branch.then(
            (value) => settle(at, { ok: true, value }),
            (error) => settle(at, { ok: false, error }),
          )
        }
        const settle = (at: number, end: Branch<T>): void => {
          if (isDone) return
          ends[at] = end
          ended++
          if (end.ok) succeeded++
          const fails = !end.ok && onFailure === 'fail'
          if (fails) reject(asObject(end.error))
          if (fails || succeeded >= needed || ended === length) finish()
          else begin()
        }
        if (needed === 0) finish()
        else begin()
      })
    })
  }

  onUpdate(name: string, handler: (value: never, ctx: never) => unknown): void {
    this.#answers('onUpdate', () => {
      const host = this.#host
      host.expectBody()
      checkKey(name, 'name')
      if (typeof handler !== 'function') throw invalidArgument('handler', 'a function', handler)
      if (next(host, `update ${name}`) > 1)
        throw invalidArgument('name', 'a name that has no handler yet', name)
      this.#takes(name, handler as UpdateHandler, 1)
    })
  }

  /** Takes the next update of this name, and after it the ones that follow. */
  #takes(name: string, handler: UpdateHandler, number: number): void {
    const host = this.#host
    const key = `${name}#${number}`
    const asked = host.ask({
      kind: 'update',
      key: `$update ${key}`,
      scope: this.#scope,
      signal: name,
    })
    const answers = async (value: unknown): Promise<void> => {
      this.#takes(name, handler, number + 1)
      const ctx = new RunCtx(host, this.#scope.branch(`${key}/`))
      const full = `$answer ${key}`
      const outcome = await answerOf(
        name,
        () => handler(value, ctx),
        this.#parsesAnswer(name, full),
      )
      const { update = '' } = asked.recorded ?? {}
      await host.ask({
        kind: 'answer',
        key: full,
        scope: this.#scope,
        answer: { update, outcome },
      }).promise
    }
    const handles = (value: unknown): void => {
      // The caller gets the error of an answer. After the end of the body there is none, nor in a
      // branch that was left: what its handler waits for stays unsettled.
      const handled = new Promise<void>((resolve) => {
        const forget = this.#scope.whenLeft(resolve)
        answers(value)
          .then(resolve, () => resolve())
          .finally(forget)
      })
      host.handling.add(handled)
      void handled.then(() => host.handling.delete(handled))
    }
    asked.promise.then(handles, () => undefined)
  }

  /** The schema of the answer of an update, which parses it once: a replay has it. */
  #parsesAnswer(name: string, key: string): Parse | undefined {
    const { workflow, replay } = this.#host
    const parse = ownOf(workflow.options.updates, name)?.output
    return parse && replay.knows(key) !== 'decided' ? parse : undefined
  }

  report(progress: unknown): void {
    this.#answers('report', () => {
      this.#host.expectOpen()
      this.#host.report(progressOf(progress))
    })
  }

  attributes(changes: Readonly<Record<string, unknown>>): Promise<void> {
    return this.#asks('attributes', () => {
      const host = this.#host
      const value = attributeChanges(changes, argument('attributes'))
      const key = `$attributes ${next(host, 'attributes')}`
      const change = { outcome: { kind: 'ok', value } } as const
      const asked = host.ask({ kind: 'attributes', key, scope: this.#scope, change })
      return asked.promise.then(() => undefined)
    })
  }

  stream(name: string): BodyStream {
    return this.#answers('stream', () => {
      checkStreamName(name)
      return { name, append: (message) => this.#says(name, message) }
    })
  }

  #says(stream: string, message: unknown): void {
    this.#answers(`stream ${stream}`, () => {
      this.#host.expectBody()
      this.#host.say(stream, messageText(message))
    })
  }

  now(): number {
    return this.#answers('now', () => {
      this.#host.expectOpen()
      return this.#host.time
    })
  }

  random(): number {
    return this.#drawn().readUIntBE(0, 6) / 2 ** 48
  }

  uuid(): string {
    const bytes = this.#drawn()
    bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x40, 6)
    bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8)
    return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.*)$/, '$1-$2-$3-$4-$5')
  }

  #drawn(): Buffer {
    return this.#answers('a draw', () => {
      this.#host.expectBody()
      const { birth, lap, fork } = this.#host.state
      return hashOfText(`${fork?.seed ?? birth}/${lap}/${next(this.#host, 'draw')}`)
    })
  }

  patched(change: string): boolean {
    return this.#answers('patched', () => {
      this.#host.expectBody()
      return this.#host.patched(this.#keyOf(change))
    })
  }

  again(input: unknown): never {
    if (this.#host.hasBegunAgain) return undefined as never
    return this.#answers('again', () => {
      this.#host.expectBody()
      const parse = this.#host.workflow.options.input
      const of = 'the input of `again`'
      this.#host.again(copied(parse ? parse(input, of) : input, of))
      throw new KeelsonError('CLOSED', 'the body begins again')
    })
  }

  /**
   * The promise of an operation. A later turn of the event loop brings the refusal that it throws:
   * a body that asks again at once holds up nothing else. A body may leave an operation alone: nobody
   * has to hear that it was cancelled.
   */
  #asks<T>(what: string, ask: () => Promise<T>): Promise<T> {
    const promise = new OperationPromise<T>((resolve, reject) => {
      try {
        resolve(ask())
      } catch (error) {
        this.#host.refuse(() => reject(error))
      }
    })
    promise.whenFailed((reason) => this.#host.unhandled.claim(reason, what, promise))
    return promise
  }

  /** The result of a part of `ctx` that answers at once: a helper that nobody awaits may throw its error on. */
  #answers<T>(what: string, answer: () => T): T {
    try {
      return answer()
    } catch (error) {
      this.#host.unhandled.claim(error, what)
      throw error
    }
  }

  #keyOf(key: string): string {
    return checkKey(this.#scope.prefix + checkKey(key, 'key'), 'key')
  }
}

/**
 * The promise that a body gets of an operation. Whether a body has ever waited for it, Node does not say:
 * a rejection that nobody has heard of would end the process, where the body may wait for it later.
 */
class OperationPromise<T> extends Promise<T> {
  /** A promise that is derived from it is a plain one. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise
  }

  /** The body has waited for it, or has derived another promise from it. */
  isHeard = false

  // biome-ignore lint/suspicious/noThenProperty: an `await` calls it, and so it says that the body waits
  override then<O = T, F = never>(
    onOk?: ((value: T) => O | PromiseLike<O>) | null,
    onFailed?: ((reason: unknown) => F | PromiseLike<F>) | null,
  ): Promise<O | F> {
    this.isHeard = true
    return super.then(onOk, onFailed)
  }

  /** Hears of its failure in the place of the body. */
  whenFailed(listener: (reason: unknown) => void): void {
    super.then(undefined, listener)
  }
}

/** A reason that is claimed is an object: of any other value that a branch has thrown there is an error. */
const asObject = (thrown: unknown): unknown =>
  (typeof thrown === 'object' && thrown !== null) || typeof thrown === 'function'
    ? thrown
    : errorOf(keptError(thrown))

/**
 * The input of a child. It is parsed when the body asks for the child first. A replay of one that has
 * ended has no use for it; of another one the start is asked for again, which the child knows by what
 * the body gave. If the schema refuses that now, no outcome says so: the run cannot go on in this program.
 * @throws KeelsonError `INVALID_ARGUMENT`
 */
const childInput = (
  replay: BodyHost['replay'],
  key: string,
  { options }: { readonly options?: Pick<CheckedOptions, 'input'> },
  given: unknown,
): (() => Input) => {
  const of = `the input of the child ${key}`
  const parse = options?.input
  const known = parse ? replay.knows(key) : 'nothing'
  if (known === 'decided') return () => inputOf(undefined)
  try {
    const input = parsedInput(given, parse, of)
    return () => input
  } catch (error) {
    if (known === 'nothing') throw error
    return () => {
      throw error
    }
  }
}

/** A body that has completed waits until the updates that it has are answered. */
export const whenAnswered = async (handling: ReadonlySet<Promise<unknown>>): Promise<void> => {
  while (handling.size > 0) await Promise.race(handling)
}

const checkKey = (key: unknown, path: string): string => keyText(key, argument(path))

// Failures of operations that a body handles nowhere, in a helper that it does not await or in a promise
// that it has made of theirs. Node would end the process for one. It is the run that cannot go on: it is
// blocked when its body has ended so.

/** The failures that the body of one activation leaves unhandled. */
export class Unhandled {
  readonly #host: Pick<BodyHost, 'type' | 'id' | 'state' | 'background' | 'isBodyOver'>
  /** The promises that were rejected and have no handler, each with its failure. */
  #left: Map<object, KeptError> | undefined
  /** The operations that have failed, and of which the body may hear later. */
  readonly #unheard: { readonly of: { readonly isHeard: boolean }; readonly error: KeptError }[] =
    []
  /** An operation has failed: a promise of the body may be rejected with that. */
  hasClaimed = false

  constructor(host: Pick<BodyHost, 'type' | 'id' | 'state' | 'background' | 'isBodyOver'>) {
    this.#host = host
  }

  /** A rejection with this reason is of this run. `what` names the operation, whose promise is `of`. */
  claim(reason: unknown, what: string, of?: { readonly isHeard: boolean }): void {
    this.hasClaimed = true
    const failure = failureRecord(reason)
    const text = `its body does not handle the failure of ${what}: ${failure.message}`
    const error = Object.assign({}, failure, { message: text })
    if (of && !of.isHeard && this.#mayHandle) this.#unheard.push({ of, error })
    const unhandled = (promise: object): void => {
      if (!this.#mayHandle) return
      const { type, id, background } = this.#host
      this.#left ??= new Map()
      this.#left.set(promise, error)
      background?.system.logger.warn(`${type}/${id}: ${text}`, { code: 'NOT_AWAITED', reason })
    }
    const handled = (promise: object): void => void this.#left?.delete(promise)
    claim(reason as object, { unhandled, handled })
  }

  /** The first failure that the body, which has ended, has left. Node says so after its microtasks. */
  async first(): Promise<KeptError | undefined> {
    if (!this.hasClaimed) return undefined
    const { clock } = this.#host.background.system
    await new Promise<void>((resolve) => void clock.soon(resolve))
    const unheard = this.#unheard.find(({ of }) => !of.isHeard)
    return this.#left?.values().next().value ?? unheard?.error
  }

  /** In a cancelled run everything fails, and a body that has ended handles nothing more. */
  get #mayHandle(): boolean {
    const { state, isBodyOver } = this.#host
    return !state.cancel && !isBodyOver
  }
}
