/**
 * The context of one try of a step or an alarm. Until the try fails, it does what the context of
 * the actor does. Scenario: a handler awaits a slow request, its time limit passes, and the try has
 * failed. Nothing can end the code of the handler. When the request answers, the code writes to the
 * store, but by now another turn runs. So after the failure the context, and each ref or store
 * taken from it, change nothing.
 */
import { KeelsonError } from '../../errors.ts'
import type { AnyContext, Context, Ref } from '../../runtime/index.ts'
import type { ActorWork } from '../turns/actor-work.ts'
import type { Change } from '../turns/turn-run.ts'

/** The messages that an actor sends to itself, and its background work to it. */
type OwnMessages = {
  calls: { $apply: (change: Change) => unknown }
  casts: { $proceed: () => void }
}

/** The context of an actor, as its tries share it. */
export interface SharedContext extends Context<OwnMessages, unknown> {
  /** The call of the current turn. */
  from: unknown
  /** The `app` of an actor for another context; `check` throws when that must not act. */
  appFor(context: Pick<AnyContext, 'to'>, check: () => void): unknown
  /** A controller whose listeners may throw. */
  aborting(): AbortController
}

/** The parts that change nothing: they stay. */
const lasting = new Set<string | symbol>([
  'self',
  'id',
  'name',
  'parent',
  'system',
  'now',
  'readTimer',
])

/** One try while it runs. */
export class Try {
  /** The context that its handler gets. */
  readonly context: AnyContext
  readonly #what: string
  readonly #shared: SharedContext
  #isClosed = false
  #app: unknown
  #aborting: AbortController | undefined = undefined
  /** Another member may have owned the instance since it began. */
  #lapsed: KeelsonError | undefined = undefined
  readonly #forget: () => void

  /** `what`: the step or the alarm, for the error of late calls. */
  constructor(shared: SharedContext, what: string, work: ActorWork) {
    this.#what = what
    this.#shared = shared
    this.context = new Proxy(shared, { get: (target, name) => this.#get(target, name) })
    this.#forget = work.whenLapsed((reason) => {
      this.#lapsed = reason
      this.#aborting?.abort(reason)
    })
  }

  /** The try has failed. */
  close(): void {
    this.#isClosed = true
    this.#aborting?.abort(this.#failed())
    this.end()
  }

  /** The try is over: the end of the actor does not abort its signal. */
  end(): void {
    if (this.#aborting) this.#shared.signal.removeEventListener('abort', this.#ended)
    this.#forget()
  }

  /**
   * Aborts when the try has failed, as at its time-out, when the actor ends, or when another member
   * may own the instance.
   */
  get #signal(): AbortSignal {
    if (this.#aborting) return this.#aborting.signal
    const aborting = this.#shared.aborting()
    this.#aborting = aborting
    if (this.#isClosed) aborting.abort(this.#failed())
    else if (this.#lapsed) aborting.abort(this.#lapsed)
    else if (this.#shared.signal.aborted) this.#ended()
    else this.#shared.signal.addEventListener('abort', this.#ended)
    return aborting.signal
  }

  readonly #ended = (): void => this.#aborting?.abort(this.#shared.signal.reason)

  #failed(): KeelsonError {
    return new KeelsonError('CLOSED', `this try of ${this.#what} has failed`)
  }

  readonly #check = (): void => {
    if (this.#isClosed) throw this.#failed()
  }

  #get(shared: SharedContext, name: string | symbol): unknown {
    if (name === 'signal') return this.#signal
    const lasts = lasting.has(name)
    if (!lasts) this.#check()
    if (name === 'app') {
      this.#app ??= shared.appFor(this.context, this.#check)
      return this.#app
    }
    const found: unknown = Reflect.get(shared, name, shared)
    if (typeof found === 'function') {
      const method = found.bind(shared) as (...given: unknown[]) => unknown
      if (lasts) return method
      const checked = this.#checked(method)
      return name === 'to'
        ? (...given: unknown[]) => this.#fenced(checked(...given) as Ref)
        : checked
    }
    return lasts || typeof found !== 'object' || found === null ? found : this.#part(found)
  }

  #checked(method: (...given: unknown[]) => unknown): typeof method {
    return (...given) => {
      this.#check()
      return method(...given)
    }
  }

  /** A part of the turn, such as `writes`, whose methods act no more once the try has failed. */
  #part(part: object): object {
    return new Proxy(part, {
      get: (target, name) => {
        const found: unknown = Reflect.get(target, name, target)
        return typeof found === 'function' ? this.#checked(found.bind(target)) : found
      },
    })
  }

  /** A ref that sends nothing once the try has failed. */
  #fenced(ref: Ref): Ref {
    const { sender } = ref as Ref & { readonly sender: unknown }
    const get = (): unknown => {
      this.#check()
      return sender
    }
    return Object.defineProperty(ref, 'sender', { get })
  }
}
