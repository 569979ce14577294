/**
 * Faults of the simulated disk and their moments: the n-th call, or the n-th of some kind. Each
 * plan counts its own calls, so that "the third sync fails" means the same beside other plans.
 */

import { invalidArgument, isKeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { DiskError } from '../../storage/index.ts'

/** The calls of the disk port. `open` opens an existing file, `create` makes one. */
export const diskOperations = [
  'open',
  'create',
  'size',
  'read',
  'write',
  'sync',
  'truncate',
  'close',
  'entry',
  'list',
  'makeFolder',
  'rename',
  'remove',
  'syncFolder',
  'lock',
] as const

/** A kind of call. */
export type DiskOperation = (typeof diskOperations)[number]

/**
 * The calls that change what a power cut may leave. A test that stops at each has tried every
 * state.
 */
export const changingOperations: readonly DiskOperation[] = [
  'create',
  'write',
  'sync',
  'truncate',
  'makeFolder',
  'rename',
  'remove',
  'syncFolder',
  'lock',
]

/** A failed call with the operating system's code. The disk adds operation and path. */
export class Refusal extends Error {
  readonly code: string

  constructor(code: string) {
    super(code)
    this.code = code
  }
}

/**
 * The effect of a fault on a call.
 *
 * - `error`: the call throws a `DiskError` with `code`, by default `EIO`. A write leaves any part
 *   of its bytes. A sync marks its sectors clean, so that the next sync succeeds without them.
 *   Every other call has no effect.
 * - `short`: a write takes `bytes` bytes and answers that number.
 * - `misdirected`: a write succeeds, and the sync after it puts the bytes at `offset`. Their own
 *   place stays as it was.
 * - `halt`: this call and all later ones throw `HALTED`, without effect, until `crash` or
 *   `killProcess`.
 */
export type Fault =
  | { readonly kind: 'error'; readonly code?: string }
  | { readonly kind: 'short'; readonly bytes: number }
  | { readonly kind: 'misdirected'; readonly offset: number }
  | { readonly kind: 'halt' }

/** A fault and its moment. */
export type FaultPlan = {
  /** 1 is the next call that matches. */
  readonly at: number
  /** For how many calls from then on; 1 by default. */
  readonly times?: number
  /** Only calls of this kind, or of these kinds, count. */
  readonly operation?: DiskOperation | readonly DiskOperation[]
  /** Only calls whose path contains this count. */
  readonly path?: string
  readonly fault: Fault
}

/** The plans of one disk. */
export class FaultPlans {
  #plans: { readonly plan: FaultPlan; seen: number }[] = []

  /** @throws KeelsonError `INVALID_ARGUMENT` for a plan that could never strike */
  add(plan: FaultPlan): void {
    checkPlan(plan)
    this.#plans.push({ plan, seen: 0 })
  }

  clear(): void {
    this.#plans = []
  }

  /** Counts a call and answers its fault. The plan that was made first wins. */
  next(operation: DiskOperation, path: string): Fault | undefined {
    let fault: Fault | undefined
    for (const entry of this.#plans) {
      if (!matches(entry.plan, operation, path)) continue
      entry.seen += 1
      const { at, times = 1 } = entry.plan
      if (entry.seen >= at && entry.seen < at + times) fault ??= entry.plan.fault
    }
    return fault
  }
}

const checkPlan = ({ at, times = 1, operation = [], path = '', fault }: FaultPlan): void => {
  if (!Number.isSafeInteger(at) || at < 1) throw invalidArgument('at', 'a whole number from 1', at)
  if (!(times >= 1)) throw invalidArgument('times', 'a number from 1', times)
  for (const name of typeof operation === 'string' ? [operation] : operation)
    if (!diskOperations.includes(name))
      throw invalidArgument('operation', `one of ${diskOperations.join(', ')}`, name)
  if (typeof path !== 'string') throw invalidArgument('path', 'a text', path)
  const isCount = (found: number): boolean => Number.isSafeInteger(found) && found >= 0
  switch (fault?.kind) {
    case 'error':
    case 'halt':
      return
    case 'short':
      if (isCount(fault.bytes)) return
      throw invalidArgument('fault.bytes', 'a whole number from 0', fault.bytes)
    case 'misdirected':
      if (isCount(fault.offset)) return
      throw invalidArgument('fault.offset', 'a whole number from 0', fault.offset)
    default:
      throw invalidArgument('fault', 'error, halt, short or misdirected', fault)
  }
}

const matches = (plan: FaultPlan, operation: DiskOperation, path: string): boolean => {
  if (plan.path !== undefined && !path.includes(plan.path)) return false
  if (plan.operation === undefined) return true
  return typeof plan.operation === 'string'
    ? plan.operation === operation
    : plan.operation.includes(operation)
}

// Each call on the simulated disk is counted, gets its planned fault, and is recorded.

/** One call that was made. */
export type DiskCall = {
  readonly operation: DiskOperation
  readonly path: string
  /** Of a read or write; the new size of a truncation. */
  readonly offset?: number
  /** How many bytes a read or write was asked for. */
  readonly bytes?: number
  /** The code of the error that it ended with. */
  readonly error?: string
}

/** The calls on one disk. */
export class SimulatedCalls {
  readonly counts: Record<DiskOperation, number>
  readonly faults = new FaultPlans()
  /** While true, each call that would change something throws `EROFS`. */
  readOnly = false
  /** The process has stopped: calls throw `HALTED` while this is true. */
  halted = false
  #recording: DiskCall[] | undefined

  constructor() {
    this.counts = Object.fromEntries(diskOperations.map((name) => [name, 0])) as typeof this.counts
  }

  /** Starts a new record. It grows with each call. */
  record(): readonly DiskCall[] {
    this.#recording = []
    return this.#recording
  }

  /**
   * Makes a call. `action` gets the fault, because a failed write or sync leaves a trace. Its
   * `Refusal`s leave as `DiskError`s. With `opensToWrite`, an `open` is refused on a read-only
   * disk.
   */
  make<T>(
    call: DiskCall,
    action: (fault: Fault | undefined) => T,
    { opensToWrite = false }: { readonly opensToWrite?: boolean } = noOptions,
  ): T {
    const { operation, path } = call
    this.counts[operation] += 1
    try {
      const fault = this.faults.next(operation, path)
      if (fault?.kind === 'halt') this.halted = true
      if (this.halted) throw new Refusal('HALTED')
      if (this.readOnly && (opensToWrite || changes(operation))) throw new Refusal('EROFS')
      if (fault?.kind === 'error' && operation !== 'write' && operation !== 'sync')
        throw new Refusal(fault.code ?? 'EIO')
      const answer = action(fault)
      this.#recording?.push(call)
      return answer
    } catch (error) {
      const code = codeOf(error)
      if (code !== undefined) this.#recording?.push({ ...call, error: code })
      throw error instanceof Refusal ? new DiskError(error.code, operation, path) : error
    }
  }
}

const codeOf = (error: unknown): string | undefined =>
  error instanceof Refusal || isKeelsonError(error) ? error.code : undefined

/** A read-only disk allows a sync: it changes nothing that the disk shows. */
const changes = (operation: DiskOperation): boolean =>
  changingOperations.includes(operation) && operation !== 'sync' && operation !== 'syncFolder'
