/** An operation of a run as its activation carries it out, and the scopes that are cancelled together. */

import type { KeptError } from '../../errors.ts'
import type { Awaited, OperationKind, Recorded } from './record.ts'
import type { Asked, Replay } from './replay.ts'

/** The fixed parts of an operation. */
export type ActiveParts = {
  readonly kind: OperationKind
  readonly key: string
  readonly scope: Scope
  /** Carries it out. Never rejects. */
  readonly perform: (active: Active) => Promise<void>
  /** Of a child: its workflow. */
  readonly type?: string
  /** Of a wait: the name of its signal, or of its update. */
  readonly signal?: string
  /** Of a step: how many tries it has. */
  readonly triesMax?: number
  /** Of a step: it is undone if the run does not complete. */
  readonly undo?: ((active: Active) => Promise<unknown>) | undefined
  /** Of a child: cancels it when its parent ends, and answers whether its end will come. */
  readonly cancel?: ((active: Active) => Promise<boolean>) | undefined
}

/** An operation from its asking to its outcome. */
export class Active implements Asked {
  readonly parts: ActiveParts
  readonly kind: OperationKind
  readonly key: string
  recorded: Recorded | undefined = undefined
  /** The body has its outcome, or waits for it no more. */
  isOver = false
  /** Of a step: a try of it began, perhaps in an earlier activation. */
  mayHaveBegun = false
  /** Its row is being written: a signal for it waits until its number is known. */
  isRecording = false
  /** Why it cannot begin in this program: the run is blocked once nothing else of it goes on. */
  lacks: KeptError | undefined = undefined
  /** Resolves when the function of a step has settled. */
  settled: Promise<unknown> | undefined = undefined
  /** The error that the body got. */
  thrown: unknown = undefined
  readonly promise: Promise<unknown>
  #resolve!: (value: unknown) => void
  #reject!: (error: unknown) => void
  #onOver: Set<(reason: unknown) => void> | undefined = undefined

  get type(): string | undefined {
    return this.parts.type
  }

  constructor(parts: ActiveParts) {
    this.parts = parts
    this.kind = parts.kind
    this.key = parts.key
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // A body may leave an operation alone.
    this.promise.catch(() => undefined)
  }

  resolve(value: unknown): void {
    this.#ends(undefined)
    this.#resolve(value)
  }

  reject(error: unknown): void {
    this.thrown = error
    this.#ends(error)
    this.#reject(error)
  }

  /** Nothing of it goes on, and its promise stays as it is. */
  stop(reason: unknown): void {
    this.#ends(reason)
  }

  /** Calls `act` when it is over, at once if it is. Returns a function that ends this. */
  whenOver(act: (reason: unknown) => void): () => void {
    if (this.isOver) act(undefined)
    else {
      this.#onOver ??= new Set()
      this.#onOver.add(act)
    }
    return () => this.#onOver?.delete(act)
  }

  #ends(reason: unknown): void {
    this.isOver = true
    const acts = this.#onOver ?? []
    this.#onOver = undefined
    for (const act of acts) act(reason)
  }
}

/** The steps among these operations that run, as the report of a close names them. */
export const runningSteps = (operations: Iterable<Active>): readonly string[] =>
  [...operations]
    .filter(({ kind, mayHaveBegun }) => kind === 'step' && mayHaveBegun)
    .map(({ key }) => `step ${key}`)

/** Operations that are cancelled together: those of a body, or of a branch of `all`. */
export class Scope {
  /** The prefix of their keys. */
  readonly prefix: string
  readonly #outer: Scope | undefined
  #cancelled: unknown = undefined
  #onLeft: Set<() => void> | undefined = undefined

  constructor(prefix = '', outer?: Scope) {
    this.prefix = prefix
    this.#outer = outer
  }

  /** Why nothing begins in it. */
  get cancelled(): unknown {
    return this.#cancelled ?? this.#outer?.cancelled
  }

  /** A scope that is cancelled with this one. */
  branch(prefix: string): Scope {
    return new Scope(this.prefix + prefix, this)
  }

  isIn(scope: Scope): boolean {
    return this === scope || this.#outer?.isIn(scope) === true
  }

  /** Nothing begins in it, and what is in flight is rejected. */
  cancel(reason: unknown): void {
    if (this.cancelled === undefined) this.#cancelled = reason
  }

  /** Nothing begins in it, and what is in flight stays unsettled: nobody waits for it. */
  leave(reason: unknown): void {
    this.cancel(reason)
    for (const act of this.#onLeft ?? []) act()
  }

  /** Calls `act` when this scope, or one around it, is left. Returns a function that ends this. */
  whenLeft(act: () => void): () => void {
    this.#onLeft ??= new Set()
    this.#onLeft.add(act)
    const forget = this.#outer?.whenLeft(act)
    return () => {
      this.#onLeft?.delete(act)
      forget?.()
    }
  }
}

/** The operations of this scope, which the body waits for no more from here on. */
export function* takenIn(replay: Replay<Active>, scope: Scope): Iterable<Active> {
  for (const active of [...replay.inFlight]) {
    if (!active.parts.scope.isIn(scope)) continue
    // An earlier activation may have begun it, and the record need not show that. Whether this is
    // the first one must not count: an undo would come or not by chance, as crashes come.
    active.mayHaveBegun = true
    replay.drop(active)
    yield active
    if (active.recorded && replay.isComplete) void active.parts.cancel?.(active)
  }
}

/** When the first timer of these operations is due, in ms since 1970; without one `Infinity`. */
export const nextDue = (inFlight: Iterable<Active>): number =>
  Math.min(...[...inFlight].flatMap(({ recorded }) => recorded?.dueAt ?? []))

/** The next event of these operations: the earliest with a time, or the first. */
export const awaitedOf = (inFlight: Iterable<Active>): Awaited | undefined => {
  const found = [...inFlight].map(awaitedBy)
  const timed = found.filter(({ until }) => until !== undefined)
  const next = timed.sort((one, other) => (one.until ?? 0) - (other.until ?? 0))[0]
  // A body may always take updates.
  return next ?? found.find(({ kind }) => kind !== 'update') ?? found[0]
}

const awaitedBy = ({ kind, key, parts, recorded }: Active): Awaited => {
  const until = recorded?.dueAt === undefined ? {} : { until: recorded.dueAt }
  if (kind === 'update') return { kind, name: parts.signal ?? key }
  if (kind === 'wait') return { kind: 'signal', name: parts.signal ?? key, ...until }
  if (kind === 'child') return { kind: 'child', name: recorded?.child ?? key }
  if (kind !== 'step') return { kind: 'timer', name: key, ...until }
  const error = recorded?.failure
  return { kind: 'retry', name: key, ...until, ...(error && { error }) }
}
