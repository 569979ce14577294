/** The options of a write, checked. Pure. */
import { checkOptionNames, invalidArgument } from './argument-check.ts'

/** What every write may be told. */
export type WriteOptions = {
  /** When to resolve: `applied` (durable and visible) or `projected` (in the projection as well). `replicated` needs replication. */
  readonly ack?: 'applied' | 'projected' | 'replicated'
  /** How long the write may take, in ms; the instance's `deadlineMs` by default. */
  readonly deadlineMs?: number
  /** At a full shard: `wait` for room (default), or `refuse` with `BUSY`. */
  readonly whenFull?: 'wait' | 'refuse'
}

/** What a put may be told beside. At most one of both; `expiresAt: 0` means never. */
export type PutOptions = WriteOptions & {
  /** Milliseconds from the moment at which the log stamps the write. */
  readonly ttlMs?: number
  /** Milliseconds since 1970. */
  readonly expiresAt?: number
}

/** Checked options with defaults. */
export type CheckedWrite = {
  readonly ack: 'applied' | 'projected'
  readonly deadlineMs: number
  readonly whenFull: 'wait' | 'refuse'
}

const writeNames = ['ack', 'deadlineMs', 'whenFull']
const putNames = [...writeNames, 'ttlMs', 'expiresAt']

/** @throws KeelsonError `INVALID_ARGUMENT` */
export const checkWrite = (
  options: WriteOptions,
  deadlineDefaultMs: number,
  names: readonly string[] = writeNames,
): CheckedWrite => {
  checkOptionNames(options, names)
  const { ack = 'applied', deadlineMs = deadlineDefaultMs, whenFull = 'wait' } = options
  if (ack === 'replicated')
    throw invalidArgument('ack', "'applied' or 'projected': nothing replicates", ack)
  if (ack !== 'applied' && ack !== 'projected')
    throw invalidArgument('ack', "'applied' or 'projected'", ack)
  if (typeof deadlineMs !== 'number' || !(deadlineMs > 0))
    throw invalidArgument('deadlineMs', 'a number above 0', deadlineMs)
  if (whenFull !== 'wait' && whenFull !== 'refuse')
    throw invalidArgument('whenFull', "'wait' or 'refuse'", whenFull)
  return { ack, deadlineMs, whenFull }
}

/** @throws KeelsonError `INVALID_ARGUMENT` */
export const checkPut = (options: PutOptions, deadlineDefaultMs: number): CheckedWrite => {
  const checked = checkWrite(options, deadlineDefaultMs, putNames)
  const { ttlMs, expiresAt } = options
  if (ttlMs !== undefined && expiresAt !== undefined)
    throw invalidArgument('ttlMs', 'given alone, or expiresAt', 'both')
  if (ttlMs !== undefined && !(Number.isSafeInteger(ttlMs) && ttlMs > 0))
    throw invalidArgument('ttlMs', 'a whole number of ms above 0', ttlMs)
  if (expiresAt !== undefined && !(Number.isSafeInteger(expiresAt) && expiresAt >= 0))
    throw invalidArgument('expiresAt', 'whole ms since 1970, or 0', expiresAt)
  return checked
}
