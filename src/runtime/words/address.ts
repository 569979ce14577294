/**
 * Addresses of processes. A `Messages` type says which messages one understands, a `Ref` is a typed
 * handle of one, and a `Name` stands for its holder at the time of use. The compiler checks the
 * messages sent to a ref.
 */
import { KeelsonError } from '../../errors.ts'
import { showAsText } from '../../value-text.ts'
import { describeReason } from './exit-reason.ts'

declare const messages: unique symbol
declare const state: unique symbol
declare const process: unique symbol

/**
 * The messages of a server. Each entry is a function from payload to reply (`void` if there is
 * none).
 * `type Messages = { calls: { get: () => number }; casts: { reset: () => void }; infos: { tick: ()
 * => void } }`
 */
export type Messages = { calls?: object; casts?: object; infos?: object; continues?: object }

/** A typed name: text that stands for a process which understands `M`. */
export type Name<M = unknown> = string & { readonly [messages]: M }

/** Types a text as the name of a process that understands `M`. */
export const name = <M = unknown>(text: string): Name<M> => text as Name<M>

/**
 * The handle of a process that understands `M`. A ref of more messages fits where a ref of fewer is
 * expected. `context.to(ref)` is the same handle with its sender bound. `S`: the state of its
 * server, which `sys.getState` shows.
 */
export interface Ref<M = unknown, S = unknown> {
  readonly [messages]?: M | undefined
  readonly [state]?: S | undefined
  /** The number of the process. For a name: that of its present holder. */
  readonly pid: number | undefined
  /** The name, if this ref looks one up at each use. */
  readonly name: string | undefined
  /** `<12>`, or the name. */
  toString(): string
}

/**
 * A part of a tree, as `worker`, `supervisor`, `dynamicSupervisor` and the like make it. It stands
 * for the process that is started from it wherever a name is accepted: `context.to(part)`.
 */
export interface Part<M = unknown, S = unknown> {
  /** Its name among its siblings. */
  readonly id: string
  readonly [process]?: Ref<M, S> | undefined
}

/** A wait until a process has a name. */
export interface HolderWait {
  /** The milliseconds left when a process got the name; `undefined` when the time ran out first. */
  readonly left: Promise<number | undefined>
  /** Ends the wait with an error. For a wait that is not over. */
  fail(error: unknown): void
}

/** Where names are looked up. */
export interface Directory<P> {
  /** `sender`: the process that the ref is bound to. */
  holderOf(name: string, sender?: P): P | undefined
  /** Starts the process of a name whose holder is at rest, for a message to it. */
  wake?(name: string | undefined, sender?: P): P | undefined
  /** The error of a name without a holder, if it is not simply free. */
  fault?(name?: string): KeelsonError | undefined
  /** Whether a call waits for a holder within its time, also if it does not say so. */
  awaits?(name?: string): boolean
  /** The entity whose process has the name. */
  readonly entity?: { readonly instance: string; readonly kind: string; readonly id: string }
  /** The reason that a monitor of a name without a holder gets; `noproc` by default. */
  readonly absence?: string
  /** Waits at most `ms`, and until `signal` aborts, for a holder of the name. */
  awaitHolder(name: string, ms: number, signal: AbortSignal | undefined): HolderWait
}

/** Where a name is looked up that may lead elsewhere. */
export interface Lead<P> extends Directory<P> {
  /** Whether it does now for a message of this sender, also if a process here has the name. */
  leads(sender?: P): boolean
}

/** Two copies of the package in one program have two classes of refs, and one mark. */
const mark = Symbol.for('keelson.ref')

/** The one implementation of `Ref`: a process or a name, and a sender when one is bound. */
export class Address<P extends { readonly pid: number } = { readonly pid: number }> implements Ref {
  declare readonly [messages]?: undefined
  declare readonly [state]?: undefined
  readonly directory: Directory<P>
  readonly process: P | undefined
  readonly name: string | undefined
  readonly sender: P | undefined

  constructor(
    directory: Directory<P>,
    process: P | undefined,
    name: string | undefined,
    sender: P | undefined,
  ) {
    this.directory = directory
    this.process = process
    this.name = name
    this.sender = sender
  }

  get pid(): number | undefined {
    return this.resolve()?.pid
  }

  /** The present process; `undefined` when no process has the name. */
  resolve(): P | undefined {
    return this.process ?? this.directory.holderOf(this.name ?? '', this.sender)
  }

  toString(): string {
    return this.name ?? `<${this.process?.pid}>`
  }

  get [mark](): true {
    return true
  }
}

showAsText(Address)

/**
 * Whether `value` is a ref of this runtime: of a process, of a name, or with its sender bound. The
 * process need not be alive, and its messages are not checked.
 */
export const isRef = (value: unknown): value is Ref => value instanceof Address

/** The address of a ref. Throws `INVALID_ARGUMENT` when it is not a ref. */
export const addressOf = <P extends { readonly pid: number }>(ref: Ref<unknown>): Address<P> => {
  if (ref instanceof Address) return ref
  throw noRef(ref)
}

/** The error of a value that is not a ref. */
export const noRef = (found: unknown): KeelsonError =>
  isForeign(found)
    ? new KeelsonError('INVALID_ARGUMENT', `${found} is a ref of another copy of keelson`)
    : noRefAtAll(found)

const isForeign = (found: unknown): boolean => {
  try {
    return typeof found === 'object' && found !== null && mark in found
  } catch {
    return false
  }
}

const noRefAtAll = (found: unknown): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `expected a ref, found ${describeReason(found)}`)

/** The error of a ref without a process. */
export const noProcess = (ref: Ref): KeelsonError =>
  new KeelsonError('NO_PROCESS', `there is no process ${ref}`, { details: { reason: 'noproc' } })
