/**
 * How processes are spoken of: a `Messages` type says what one understands, a `Ref` is the typed handle of one, a `Name`
 * stands for whoever has it at the time of use. What a ref may be sent is checked by the compiler.
 */
import { KeelsonError } from '../../errors.ts'
import { describeReason } from './exit-reason.ts'

declare const messages: unique symbol

/**
 * What a server understands: each entry a function from payload to reply (`void` for what is not answered).
 * `type Messages = { calls: { get: () => number }; casts: { reset: () => void }; infos: { tick: () => void } }`
 */
export type Messages = { calls?: object; casts?: object; infos?: object; continues?: object }

/** A typed name: text that stands for a process which understands `M`. */
export type Name<M = unknown> = string & { readonly [messages]: M }

/** Types a text as the name of a process that understands `M`. */
export const name = <M = unknown>(text: string): Name<M> => text as Name<M>

/**
 * The handle of a process that understands `M`. A ref of more messages fits where one of fewer is asked for.
 * `context.to(ref)` is the same handle with its sender bound.
 */
export interface Ref<M = unknown> {
  readonly [messages]?: M | undefined
  /** The number of the process; of a name, that of its holder now. */
  readonly pid: number | undefined
  /** The name, when this ref looks one up at each use. */
  readonly name: string | undefined
  /** `<12>`, or the name. */
  toString(): string
}

/** Where names are looked up. */
export interface Directory<P> {
  holderOf(name: string): P | undefined
  /** Why a name stands for nobody, when it is not just that nobody has it. */
  fault?(): KeelsonError | undefined
}

/** The one implementation of `Ref`: a process or a name, and a sender when one is bound. */
export class Address<P extends { readonly pid: number } = { readonly pid: number }> implements Ref {
  declare readonly [messages]?: undefined
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

  /** The process meant now; `undefined` when nobody has the name. */
  resolve(): P | undefined {
    return this.process ?? this.directory.holderOf(this.name ?? '')
  }

  toString(): string {
    return this.name ?? `<${this.process?.pid}>`
  }

  toJSON(): string {
    return this.toString()
  }

  /** What `console.log` and the prompt show: not the system behind it. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }
}

/**
 * Whether `value` is a ref that this runtime made: of a process, of a name, or one with its sender bound. It says nothing
 * of what the process understands, nor whether it lives.
 */
export const isRef = (value: unknown): value is Ref => value instanceof Address

/** The address behind a ref. Throws `INVALID_ARGUMENT` when it is not one. */
export const addressOf = <P extends { readonly pid: number }>(ref: Ref<unknown>): Address<P> => {
  if (ref instanceof Address) return ref
  throw noRef(ref)
}

/** The error of something else where a ref is expected. */
export const noRef = (found: unknown): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `expected a ref, got: ${describeReason(found)}`)
