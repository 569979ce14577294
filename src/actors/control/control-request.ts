/** The requests to control: the options of callers, checked, with all defaults. Pure. */

import {
  aboveZero,
  argument,
  flag,
  type Given,
  object,
  optional,
  or,
  text,
  that,
} from '../../check.ts'
import { hasOwn, noOptions } from '../../own-names.ts'
import { isRef, type Ref } from '../../runtime/index.ts'

const plainFields = {
  /** How long each shard may take, in ms; the instance's `deadlineMs` by default. */
  timeoutMs: optional(aboveZero()),
}

const suspendFields = {
  ...plainFields,
  /** Flushes projections first; true by default. */
  flush: or(flag, true),
  /** Holds new writes at the gate as well; false by default. */
  writes: or(flag, false),
  /** The process whose end ends the suspension. */
  owner: optional(that<Ref>('a ref', isRef)),
  /** Ends the suspension after so many ms. Without it, the suspension does not end by itself. */
  leaseMs: optional(aboveZero(Number.MAX_VALUE)),
}

const resumeFields = { ...plainFields, token: optional(text), force: or(flag, false) }

/** Options of every control call. */
export type ControlOptions = Given<typeof plainFields>

/** Options of a suspension. */
export type SuspendOptions = Given<typeof suspendFields>

/** Options of a resumption: the token of one suspension, or `force` for all. */
export type ResumeOptions = Given<typeof resumeFields>

/** The parts of every request: the shards asked, and the time for each. */
export type PlainRequest = { readonly shards: readonly number[]; readonly timeoutMs: number }

/** A request to suspend. */
export type SuspendRequest = PlainRequest & {
  readonly flush: boolean
  readonly writes: boolean
  /** Without an owner the hold belongs to the holder of the instance. */
  readonly owner: Ref | undefined
  readonly leaseMs: number | undefined
  /** Another member asks for it, for shards that are here. */
  readonly asked?: { readonly token: string; readonly isApps: boolean } | undefined
}

/**
 * The suspensions to end: that of a token, those of an owner (`undefined`: of the holder of the
 * instance, which are also `apps`), those of several tokens as far as they are there, or all.
 */
export type Which =
  | { readonly token: string }
  | { readonly tokens: readonly string[] }
  | { readonly owner: Ref | undefined }
  | 'all'
  | 'apps'

/** Whether it is one of these. */
export const isMeant = (
  which: Which,
  { token, owner, isApps = false }: { token: string; owner: Ref | undefined; isApps?: boolean },
): boolean => {
  if (which === 'all') return true
  if (which !== 'apps' && hasOwn(which, 'token')) return which.token === token
  if (which !== 'apps' && hasOwn(which, 'tokens')) return which.tokens.includes(token)
  const wanted = which === 'apps' ? undefined : which.owner
  return owner === wanted || (wanted === undefined && isApps)
}

/** A request to resume. */
export type ResumeRequest = PlainRequest & {
  readonly which: Which
  /** Another member asks for it, for shards that are here. */
  readonly isAsked?: boolean
}

/** The shards of a call, the default time for each, and the default owner of suspensions. */
export type Scope = {
  readonly shards: readonly number[]
  readonly deadlineMs: number
  readonly owner?: Ref | undefined
}

const [plain, suspend, resume] = [object(plainFields), object(suspendFields), object(resumeFields)]
const whole = argument()

/** The time-out of a call, in ms. @throws KeelsonError `INVALID_ARGUMENT` */
export const timeoutOf = (options: ControlOptions, deadlineMs: number): number =>
  plain(options, whole).timeoutMs ?? deadlineMs

/** A request for all of `scope`. @throws KeelsonError `INVALID_ARGUMENT` */
export const plainRequest = (
  { shards, deadlineMs }: Scope,
  options: ControlOptions = noOptions,
): PlainRequest => ({ shards, timeoutMs: timeoutOf(options, deadlineMs) })

/** A suspension of all of `scope`. @throws KeelsonError `INVALID_ARGUMENT` */
export const suspendRequest = (
  scope: Scope,
  options: SuspendOptions = noOptions,
): SuspendRequest => {
  const { shards, deadlineMs } = scope
  const { timeoutMs = deadlineMs, owner = scope.owner, ...rest } = suspend(options, whole)
  return { ...rest, shards, timeoutMs, owner }
}

/** A resumption of all of `scope`. @throws KeelsonError `INVALID_ARGUMENT` */
export const resumeRequest = (scope: Scope, options: ResumeOptions = noOptions): ResumeRequest => {
  const { timeoutMs = scope.deadlineMs, token, force } = resume(options, whole)
  const which = token === undefined ? { owner: scope.owner } : { token }
  return { shards: scope.shards, timeoutMs, which: force ? 'all' : which }
}
