/** The options of writes: those of every write, those of each command, and their checks. Pure. */

import { invalidArgument } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { type Expiry, type KeepExpiry, keepExpiry, noExpiry } from '../../storage/index.ts'
import { checkedOwner, ownOptions } from '../core/argument-check.ts'
import type { CheckedWrite } from '../core/shard-client.ts'
import { isWindow, windowMsMax } from '../core/write-windows.ts'

/** Options of every write. */
export type WriteOptions = {
  /**
   * When to resolve: `applied` (durable and visible), `projected` (in the projection too), or
   * `replicated`: in every required replica too, or in the first one if none is required.
   */
  readonly ack?: 'applied' | 'projected' | 'replicated'
  /** How long the write may take, in ms; the instance's `deadlineMs` by default. */
  readonly deadlineMs?: number
  /** At a full shard: `wait` for room (default), or `refuse` with `BUSY`. */
  readonly whenFull?: 'wait' | 'refuse'
  /**
   * How long its group may wait for other writes, in ms: 0 to 10,000. By default the window of its
   * namespace.
   */
  readonly windowMs?: number
}

/** The lock owner who writes, 1 to 256 bytes. Without it, a locked key cannot be written. */
export type OwnerOption = { readonly owner?: string }

/** When a value expires. At most one of both. */
export type ExpiryOptions =
  | {
      /** Milliseconds from the log's time stamp of the write. */
      readonly ttlMs?: number
      readonly expiresAt?: never
    }
  | {
      readonly ttlMs?: never
      /** Milliseconds since 1970; 0 means never, a time in the past deletes. */
      readonly expiresAt?: number
    }

/** Options of a put in a batch. */
export type PutTerms = OwnerOption & ExpiryOptions

/**
 * Options of a set in a batch: a condition, an expiry, and whether to answer the previous value.
 */
export type SetTerms = OwnerOption &
  (
    | {
        /** Only when the key is absent. */
        readonly nx?: boolean
        readonly xx?: never
      }
    | {
        readonly nx?: never
        /** Only when the key is present. */
        readonly xx?: boolean
      }
  ) &
  (
    | (ExpiryOptions & { readonly keepTtl?: false })
    | {
        /** Keeps the present expiry. */
        readonly keepTtl: boolean
        readonly ttlMs?: never
        readonly expiresAt?: never
      }
  ) & {
    /** Answers the previous value. */
    readonly get?: boolean
  }

/** The owner of a lock, and its lease in ms from the log's time stamp. */
export type LockTerms = { readonly owner: string; readonly leaseMs: number }

/** Options of a write that may name the owner of a lock. */
export type OwnedWriteOptions = WriteOptions & OwnerOption

/** Options of `put`, `putMany` and `compareAndSet`. */
export type PutOptions = WriteOptions & PutTerms

/** Options of `putStream`. `deadlineMs` counts from the end of the stream on. */
export type StreamOptions = PutOptions & {
  /** The length of the stream in bytes. A stream of another length is refused. */
  readonly size?: number
}

/** Options of `set`. */
export type SetOptions = WriteOptions & SetTerms

/** Options of `lockedPut`. */
export type LockedPutOptions = WriteOptions & ExpiryOptions & { readonly owner: string }

/** Options of `lock` and `extend`. */
export type LockOptions = WriteOptions & LockTerms

/** Options of `unlock`. */
export type UnlockOptions = WriteOptions & { readonly owner: string }

/** Options of `clear`. */
export type ClearOptions = OwnedWriteOptions & {
  /** Only the keys of this namespace; `_root`: the keys without a colon. Without it, every key. */
  readonly namespace?: string
}

const writeNames = ['ack', 'deadlineMs', 'whenFull', 'windowMs']

/** The options of each kind of call, beside those of every write. */
const termNames = {
  put: ['owner', 'ttlMs', 'expiresAt'],
  stream: ['owner', 'ttlMs', 'expiresAt', 'size'],
  set: ['owner', 'ttlMs', 'expiresAt', 'nx', 'xx', 'keepTtl', 'get'],
  lock: ['owner', 'leaseMs'],
  unlock: ['owner'],
  clear: ['owner', 'namespace'],
  plain: ['owner'],
  commit: [],
  token: ['token'],
} as const

/** A kind of call, by its options. */
export type TermKind = keyof typeof termNames

const allNames: Record<TermKind, readonly string[]> = {
  put: [...writeNames, ...termNames.put],
  stream: [...writeNames, ...termNames.stream],
  set: [...writeNames, ...termNames.set],
  lock: [...writeNames, ...termNames.lock],
  unlock: [...writeNames, ...termNames.unlock],
  clear: [...writeNames, ...termNames.clear],
  plain: [...writeNames, ...termNames.plain],
  commit: writeNames,
  token: [...writeNames, ...termNames.token],
}

/**
 * A copy of the options of a command in a batch. The batch's own options are not allowed there.
 * @throws KeelsonError `INVALID_ARGUMENT`
 */
export const ownTerms = <T extends object>(kind: TermKind, terms: T): T =>
  ownOptions(terms, termNames[kind])

/** A copy of the options of a write. @throws KeelsonError `INVALID_ARGUMENT` */
export const ownWriteOptions = <O extends WriteOptions>(kind: TermKind, options: O): O =>
  options === noOptions ? options : ownOptions(options, allNames[kind])

/**
 * Checks the options of every write, of which the caller has its own copy, and fills in the defaults.
 * `isReplicated`: there is a replica. @throws KeelsonError `INVALID_ARGUMENT`
 */
export const checkWrite = (
  own: WriteOptions,
  deadlineDefaultMs: number,
  isReplicated: boolean,
): CheckedWrite => {
  const { ack = 'applied', deadlineMs = deadlineDefaultMs, whenFull = 'wait', windowMs } = own
  if (ack === 'replicated' && !isReplicated)
    throw invalidArgument('ack', "'applied' or 'projected': nothing replicates", ack)
  if (ack !== 'applied' && ack !== 'projected' && ack !== 'replicated')
    throw invalidArgument('ack', "'applied', 'projected' or 'replicated'", ack)
  if (typeof deadlineMs !== 'number' || !(deadlineMs > 0))
    throw invalidArgument('deadlineMs', 'a number above 0', deadlineMs)
  if (whenFull !== 'wait' && whenFull !== 'refuse')
    throw invalidArgument('whenFull', "'wait' or 'refuse'", whenFull)
  if (windowMs !== undefined && windowMs !== 0 && !isWindow(windowMs))
    throw invalidArgument('windowMs', `0, or 1 to ${windowMsMax} ms`, windowMs)
  return { ack, deadlineMs, whenFull, windowMs }
}

/** The expiry in the options; none by default. @throws KeelsonError `INVALID_ARGUMENT` */
export const expiryOf = (options: { ttlMs?: unknown; expiresAt?: unknown }): Expiry => {
  const { ttlMs, expiresAt } = options
  if (ttlMs !== undefined && expiresAt !== undefined)
    throw invalidArgument('ttlMs', 'alone, without expiresAt', 'both')
  if (ttlMs !== undefined) return { kind: 'after', ms: checkedMs('ttlMs', ttlMs) }
  if (expiresAt === undefined || expiresAt === 0) return noExpiry
  if (!Number.isSafeInteger(expiresAt) || (expiresAt as number) < 0)
    throw invalidArgument('expiresAt', 'whole ms since 1970, or 0', expiresAt)
  return { kind: 'at', ms: expiresAt as number }
}

/**
 * The expiry in the options; by default the present one is kept.
 * @throws KeelsonError `INVALID_ARGUMENT`
 */
export const expiryOrKeep = (options: PutTerms): Expiry | KeepExpiry =>
  options.ttlMs === undefined && options.expiresAt === undefined ? keepExpiry : expiryOf(options)

type CheckedSetTerms = {
  readonly condition: 'always' | 'absent' | 'present'
  readonly expiry: Expiry | KeepExpiry
  readonly get: boolean
}

const plainSet: CheckedSetTerms = { condition: 'always', expiry: noExpiry, get: false }

/** The condition and expiry of a set. @throws KeelsonError `INVALID_ARGUMENT` */
export const setTermsOf = (terms: SetTerms): CheckedSetTerms => {
  if (terms === noOptions) return plainSet
  for (const name of ['nx', 'xx', 'keepTtl', 'get'] as const)
    if (terms[name] !== undefined && typeof terms[name] !== 'boolean')
      throw invalidArgument(name, 'a boolean', terms[name])
  const { nx = false, xx = false, keepTtl = false, get = false } = terms
  if (nx && xx) throw invalidArgument('nx', 'alone, without xx', 'both')
  const expiry = expiryOf(terms)
  if (keepTtl && (terms.ttlMs !== undefined || terms.expiresAt !== undefined))
    throw invalidArgument('keepTtl', 'alone, without an expiry', 'both')
  return {
    condition: nx ? 'absent' : xx ? 'present' : 'always',
    expiry: keepTtl ? keepExpiry : expiry,
    get,
  }
}

/**
 * The owner that the options name, as a property or as none.
 * @throws KeelsonError `INVALID_ARGUMENT`
 */
export const ownerOf = ({ owner }: OwnerOption): OwnerOption =>
  owner === undefined ? noOptions : { owner: checkedOwner(owner) }

/** Whole ms above 0. @throws KeelsonError `INVALID_ARGUMENT` */
export const checkedMs = (path: string, ms: unknown): number => {
  if (!Number.isSafeInteger(ms) || (ms as number) < 1)
    throw invalidArgument(path, 'a whole number of ms above 0', ms)
  return ms as number
}
