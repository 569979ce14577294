/** The requests to control: the options of callers, checked, with all defaults. Pure. */
import { invalidArgument } from '../../errors.ts'
import { isRef, type Ref } from '../../runtime/index.ts'
import { checkOptionNames } from '../core/argument-check.ts'

/** Options of every control call. */
export type ControlOptions = {
  /** How long each shard may take, in ms; the instance's `deadlineMs` by default. */
  readonly timeoutMs?: number
}

/** Options of a suspension. */
export type SuspendOptions = ControlOptions & {
  /** Flushes projections first; true by default. */
  readonly flush?: boolean
  /** Holds new writes at the gate as well; false by default. */
  readonly writes?: boolean
  /** The process whose end ends the suspension. */
  readonly owner?: Ref
  /** Ends the suspension after so many ms. Without it, the suspension does not end by itself. */
  readonly leaseMs?: number
}

/** Options of a resumption: the token of one suspension, or `force` for all. */
export type ResumeOptions = ControlOptions & { readonly token?: string; readonly force?: boolean }

/** The parts of every request: the shards asked, and the time for each. */
export type PlainRequest = { readonly shards: readonly number[]; readonly timeoutMs: number }

/** A request to suspend. */
export type SuspendRequest = PlainRequest & {
  readonly flush: boolean
  readonly writes: boolean
  /** Without an owner the hold belongs to the holder of the instance. */
  readonly owner: Ref | undefined
  readonly leaseMs: number | undefined
}

/**
 * The suspensions to end: that of a token, those of an owner (`undefined`: of the holder of the
 * instance), or all.
 */
export type Which = { readonly token: string } | { readonly owner: Ref | undefined } | 'all'

/** A request to resume. */
export type ResumeRequest = PlainRequest & { readonly which: Which }

/** The shards of a call, the default time for each, and the default owner of suspensions. */
export type Scope = {
  readonly shards: readonly number[]
  readonly deadlineMs: number
  readonly owner?: Ref | undefined
}

const suspendNames = ['timeoutMs', 'flush', 'writes', 'owner', 'leaseMs']
const resumeNames = ['timeoutMs', 'token', 'force']

/** A request for all of `scope`. @throws KeelsonError `INVALID_ARGUMENT` */
export const plainRequest = (
  { shards, deadlineMs }: Scope,
  options: ControlOptions = {},
  names: readonly string[] = ['timeoutMs'],
): PlainRequest => {
  checkOptionNames(options, names)
  const { timeoutMs = deadlineMs } = options
  if (typeof timeoutMs !== 'number' || !(timeoutMs > 0))
    throw invalidArgument('timeoutMs', 'a number above 0', timeoutMs)
  return { shards, timeoutMs }
}

/** A suspension of all of `scope`. @throws KeelsonError `INVALID_ARGUMENT` */
export const suspendRequest = (scope: Scope, options: SuspendOptions = {}): SuspendRequest => {
  const plain = plainRequest(scope, options, suspendNames)
  const { flush = true, writes = false, owner = scope.owner, leaseMs } = options
  if (typeof flush !== 'boolean') throw invalidArgument('flush', 'a boolean', flush)
  if (typeof writes !== 'boolean') throw invalidArgument('writes', 'a boolean', writes)
  if (owner !== undefined && !isRef(owner)) throw invalidArgument('owner', 'a ref', owner)
  if (leaseMs !== undefined && !(Number.isFinite(leaseMs) && leaseMs > 0))
    throw invalidArgument('leaseMs', 'a number above 0', leaseMs)
  return { ...plain, flush, writes, owner, leaseMs }
}

/** A resumption of all of `scope`. @throws KeelsonError `INVALID_ARGUMENT` */
export const resumeRequest = (scope: Scope, options: ResumeOptions = {}): ResumeRequest => {
  const plain = plainRequest(scope, options, resumeNames)
  const { token, force = false } = options
  if (token !== undefined && typeof token !== 'string')
    throw invalidArgument('token', 'a string', token)
  if (typeof force !== 'boolean') throw invalidArgument('force', 'a boolean', force)
  const which = token === undefined ? { owner: scope.owner } : { token }
  return { ...plain, which: force ? 'all' : which }
}
