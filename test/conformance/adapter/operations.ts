/** What processes and the driver can do alike: each operation of the format in terms of the runtime's own functions. */
import { isKeelsonError } from '../../../src/errors.ts'
import {
  type Context,
  call,
  cast,
  type ExitReason,
  type From,
  isRef,
  type Monitor,
  type Name,
  name,
  type ProcessInfo,
  type Ref,
  Registry,
  type StartResult,
  type Task,
  type Timer,
  type Via,
  via,
} from '../../../src/runtime/index.ts'
import { FailedCall, type Recorder } from './recorder.ts'
import type { Term } from './scenario.ts'
import type { Talk } from './talk.ts'
import { evaluate, type Scope } from './terms.ts'

export type TalkContext = Context<Talk>

/** What one process remembers between its callbacks, outside of its state. */
export class Memory {
  readonly label: string
  readonly context: TalkContext
  readonly recorder: Recorder
  /** The process that started this one: of a task its owner, whoever supervises it. */
  readonly parent: Ref | undefined
  readonly callers = new Map<string, From>()
  readonly #monitors = new Map<string, Monitor>()
  readonly #tags = new Map<Monitor, string>()
  readonly #timers = new Map<string, Timer>()
  readonly #tasks = new Map<string, Task>()

  constructor(
    label: string,
    context: TalkContext,
    recorder: Recorder,
    parent: Ref | undefined = context.parent,
  ) {
    this.label = label
    this.context = context
    this.recorder = recorder
    this.parent = parent
  }

  record(...event: Term[]): void {
    this.recorder.record(this.label, event)
  }

  monitor(target: Target, tag: string): void {
    const monitor = this.context.monitor(this.#plain(target))
    this.#monitors.set(tag, monitor)
    this.#tags.set(monitor, tag)
  }

  demonitor(tag: string, flush: boolean): boolean {
    const monitor = this.#monitors.get(tag)
    return monitor !== undefined && this.context.demonitor(monitor, { flush })
  }

  tagOf(monitor: Monitor): string {
    return this.#tags.get(monitor) ?? '?'
  }

  /** Keeps a task under its tag, which is that of its end too. */
  keepTask(tag: string, task: Task): void {
    this.#tasks.set(tag, task)
    this.#tags.set(task.monitor, tag)
  }

  task(tag: string): Task {
    const task = this.#tasks.get(tag)
    if (task === undefined) throw new Error(`no task ${tag} in ${this.label}`)
    return task
  }

  sendAfter(ms: number, target: Target, what: string, payload: unknown, tag: string): void {
    const said = { name: what, payload }
    this.#timers.set(tag, this.context.sendAfter(ms, 'say', said, this.#plain(target)))
  }

  startTimer(ms: number, target: Target, payload: unknown, tag: string): void {
    this.#timers.set(
      tag,
      this.context.startTimer(ms, 'ring', { tag, payload }, this.#plain(target)),
    )
  }

  /** Monitors and timers of the platform know local names only: of one through a registry, its holder now. */
  #plain(target: Target): Ref<Talk> | Name<Talk> {
    return typeof target === 'string' || isRef(target) ? target : processOf(target, this)
  }

  cancelTimer(tag: string): Term {
    const timer = this.#timers.get(tag)
    return timer === undefined ? false : rounded(this.context.cancelTimer(timer))
  }

  readTimer(tag: string): Term {
    const timer = this.#timers.get(tag)
    return timer === undefined ? false : rounded(this.context.readTimer(timer))
  }

  cast(target: Target, what: string, payload: unknown): void {
    cast(this.context.to(target), 'say', { name: what, payload })
  }

  send(target: Target, what: string, payload: unknown): void {
    this.context.send(target, 'say', { name: what, payload })
  }

  call(target: Target, what: string, payload: unknown, timeoutMs?: number): Promise<unknown> {
    return call(this.context.to(target), 'say', { name: what, payload }, { timeoutMs })
  }
}

/** A process, or a name. */
export type Target = Ref<Talk> | NameOrKey

/** A name of the format. */
export type NameOrKey = Name<Talk> | Via<Talk>

/** The name that a definition or a target gives: a local one, or one through a registry. */
export const nameOf = (term: Term | undefined): NameOrKey | undefined => {
  if (typeof term === 'string') return name<Talk>(term)
  const { $via: through } = optionsOf(term)
  if (!Array.isArray(through)) return undefined
  return via(Registry.name<unknown, unknown, Talk>(String(through[0])), through[1])
}

/** A target of the format: a process by its label, or a name. */
export const targetOf = (term: Term | undefined, scope: Scope): Target => {
  const options = optionsOf(term)
  if ('$name' in options) return name<Talk>(String(evaluate(options.$name, scope)))
  if (Array.isArray(options.$via)) {
    const through = options.$via.map((each) => evaluate(each, scope) as Term)
    return nameOf({ $via: through }) ?? nobody('nobody')
  }
  const value = evaluate(term, scope)
  if (typeof value === 'string') return (scope.recorder.refOf(value) ?? nobody(value)) as Ref<Talk>
  return isRef(value) ? (value as Ref<Talk>) : nobody(String(value))
}

/** The process that a target stands for now, for what the platform does to processes alone. */
export const processOf = (target: Target, { context }: Memory): Ref<Talk> => {
  const found = isRef(target) ? target : context.system.whereis(target)
  return (found as Ref<Talk> | undefined) ?? nobody(String(target))
}

/** What is known of a process that may be gone. Throws when it is looked for in a registry that is not there. */
export const infoOf = (target: Target, { context }: Memory): ProcessInfo | undefined => {
  if (typeof target !== 'string' && !isRef(target))
    Registry.count(context.to(target.registry as Registry.Name))
  return context.system.info(target)
}

/** Somebody who was never started. */
const nobody = (label: string): never => {
  throw new Error(`no process ${label} in this scenario`)
}

/** The bare reason of a call that failed. */
export const bareReason = (error: unknown): ExitReason => {
  if (error instanceof FailedCall) return error
  if (!isKeelsonError(error) || !('reason' in error.details)) throw error
  return error.details.reason
}

/** A start's outcome as the format has it. */
export const startedTerm = (result: StartResult, recorder: Recorder): Term => {
  if (result.ok) return ['ok', recorder.encode(result.ref)]
  return result.ignore ? 'ignore' : ['error', recorder.encode(result.reason)]
}

const rounded = (left: number | false): Term =>
  left === false ? false : Math.round(left / 100) * 100

/** The options behind an operation: its last argument, when that is an object. */
export const optionsOf = (term: Term | undefined): Record<string, Term> =>
  typeof term === 'object' && term !== null && !Array.isArray(term) ? term : {}
