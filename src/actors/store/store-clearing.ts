/**
 * `store.clear` of many keys. Applied as one unit it would hold up the event loop for seconds and
 * fill the overlay. So the first keys go in pieces, and a `clear` command removes the rest. All
 * other writes of the shard wait at its mark until then, so the order of calls holds. It is apart
 * from `store-writing.ts` because only a clear takes many frames.
 */

import { utf8Length } from '../../bytes/utf8.ts'
import { leftUntil } from '../../clock.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'
import {
  fieldCount,
  lockRows,
  ownerIn,
  refusalError,
  rowTags,
  type UnitAnswer,
  unitBytesMax,
  unitRowsMax,
} from '../../storage/index.ts'
import { keyRowsIn } from '../core/namespace-keys.ts'
import type { CheckedWrite } from '../core/shard-client.ts'
import { bytesCounted } from '../core/write-weight.ts'
import * as LmdbWriter from '../projection/lmdb-writer.ts'
import { inTurn } from '../writing/key-marks.ts'
import { decided, type Submitted, submit, submitMarked } from '../writing/write-path.ts'
import type { WritingShard } from '../writing/writing-shard.ts'
import type { CommandOf } from './store-commands.ts'

/** The most keys of one unit. */
const keysMax = 500

/** A piece that has so many rows takes no further key: some 20 ms of the event loop. */
const pieceRows = 10_000

/** The rows between two flushes of the projection. They bound what the overlay takes. */
const rowsUnflushed = 16_000

/** The end of a clear: where its last command is, and how many keys had a value. */
export type Cleared = { readonly position: Submitted['position']; readonly removed: number }

/**
 * Removes the keys of a namespace in one shard. Synchronous up to the gate.
 * @throws KeelsonError as every write; `details.removed`: so many keys are gone at least
 */
export const clearShard = async (
  system: System,
  shard: WritingShard,
  command: CommandOf<'clear'>,
  options: CheckedWrite,
): Promise<Cleared> => {
  if (isSmall(shard, command.namespace)) {
    const submitted = await submit(system, shard, { units: command, options })
    return { position: submitted.position, removed: removedBy(submitted) }
  }
  const { clock } = system
  const { whenFull, deadlineMs } = options
  const endsAt = clock.monotonic() + deadlineMs
  let cleared: Cleared | undefined
  await new Promise<void>((resolve, reject) => {
    // The whole clear is one write at the gate: its pieces wait for no room that others have.
    const entry = { commands: 1, bytes: bytesCounted(1, 0), whenFull, deadlineMs }
    const admitted = (): void => {
      const terms = { marks: shard.marks, clock, keys: 'all' as const, endsAt, deadlineMs }
      const work = async (): Promise<void> => {
        cleared = await inPieces({ system, shard, command, options, endsAt })
      }
      inTurn(terms, work)
        .finally(() => shard.gate.leave(entry))
        .then(resolve, reject)
    }
    shard.gate.enter(entry, admitted, reject)
  })
  return cleared as Cleared
}

/**
 * Whether one command takes it all, or must decide alone: a lock may refuse it, and then nothing may
 * be gone. A shard that is not open is small, because its state is not known.
 */
const isSmall = (shard: WritingShard, namespace: string | undefined): boolean => {
  if (shard.phase.kind !== 'open' || hasLocks(shard)) return true
  const bounds = { rows: unitRowsMax, keyBytes: Number.POSITIVE_INFINITY }
  return nextPiece(shard, namespace, undefined, bounds).isLast
}

const hasLocks = (shard: WritingShard): boolean => {
  const { overlay, projection } = shard.view().layers
  for (const _ of projection.range(lockRows)) return true
  for (const [, row] of overlay.range(lockRows)) if (row) return true
  return false
}

type Clearing = {
  readonly system: System
  readonly shard: WritingShard
  readonly command: CommandOf<'clear'>
  readonly options: CheckedWrite
  readonly endsAt: number
}

const inPieces = async (clearing: Clearing): Promise<Cleared> => {
  const { system, shard, command, options, endsAt } = clearing
  const { namespace } = command
  const owner = ownerIn(command)
  // The keys that are removed take at most half of a unit; the rest is for what encodes them.
  const keyBytes = unitBytesMax(shard.files.parts.logOptions) / 2
  let removed = 0
  let unflushed = 0
  let last: string | undefined
  const left = (): CheckedWrite => ({
    ...options,
    ack: 'applied',
    windowMs: 0,
    deadlineMs: leftUntil(system.clock, endsAt),
  })
  try {
    // A lock that was called for before is seen when it is applied.
    await decided(system, shard, endsAt)
    for (;;) {
      const phase = await shard.settled()
      if (phase.kind !== 'open') throw shard.unavailable()
      const piece = nextPiece(shard, namespace, last, { rows: pieceRows, keyBytes })
      if (piece.isLast || hasLocks(shard)) break
      const { keys, rows } = piece
      const units = { kind: 'deleteMany', keys, ...(owner === undefined ? {} : { owner }) } as const
      removed += removedBy(await submitMarked(system, shard, { units, options: left() }))
      last = keys.at(-1)
      unflushed += rows
      if (unflushed < rowsUnflushed) continue
      await projected(clearing)
      unflushed = 0
    }
    const write = { units: command, options: { ...left(), ack: options.ack } }
    const submitted = await submitMarked(system, shard, write)
    return { position: submitted.position, removed: removed + removedBy(submitted) }
  } catch (error) {
    if (removed === 0 || !isKeelsonError(error)) throw error
    const { code, message, details, cause } = error
    throw new KeelsonError(code, message, { details: { ...details, removed }, cause })
  }
}

const projected = async ({ system, shard, endsAt }: Clearing): Promise<void> => {
  const writer = system.to(LmdbWriter.name(shard.parts.instance, shard.index))
  await LmdbWriter.flush(writer, leftUntil(system.clock, endsAt))
}

/** Keys, how many rows they have, their fields included, and whether no key follows. */
type Piece = { readonly keys: readonly string[]; readonly rows: number; readonly isLast: boolean }

/** The next keys of a namespace after `last`, up to the first that reaches a bound. */
const nextPiece = (
  shard: WritingShard,
  namespace: string | undefined,
  last: string | undefined,
  bounds: { readonly rows: number; readonly keyBytes: number },
): Piece => {
  const keys: string[] = []
  let rows = 0
  let keyBytes = 0
  for (const [key, row] of keyRowsIn(shard.view(), shard.now(), namespace, last)) {
    keys.push(key)
    rows += row.value.tag === rowTags.compound ? 1 + fieldCount(row) : 1
    keyBytes += utf8Length(key)
    if (keys.length === keysMax || rows >= bounds.rows || keyBytes >= bounds.keyBytes)
      return { keys, rows, isLast: false }
  }
  return { keys, rows, isLast: true }
}

const removedBy = ({ answers: [answer] }: Submitted): number => {
  const known: UnitAnswer | undefined = answer
  if (known?.kind === 'refused') throw refusalError(known)
  if (known?.kind === 'clear') return known.removed
  return known?.kind === 'deleteMany' ? known.deleted : 0
}
