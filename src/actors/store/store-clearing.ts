/**
 * `store.clear` of many keys. Applied as one unit it would hold up the event loop for seconds and
 * fill the overlay. So the first keys go in pieces, and a `clear` command removes the rest. All
 * other writes of the shard wait at its mark until then, so the order of calls holds. It is apart
 * from `store-writing.ts` because only a clear takes many frames.
 */
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'
import { lockRows, refusalError, type UnitAnswer } from '../../storage/index.ts'
import { keysIn } from '../core/namespace-keys.ts'
import { bytesCounted } from '../core/write-weight.ts'
import * as LmdbWriter from '../projection/lmdb-writer.ts'
import { inTurn } from '../writing/key-marks.ts'
import type { CheckedWrite } from '../writing/write-options.ts'
import { type Submitted, submit, submitMarked } from '../writing/write-path.ts'
import type { WritingShard } from '../writing/writing-shard.ts'
import type { CommandOf } from './store-commands.ts'

/** The keys of one piece: a few ms of the event loop. */
const pieceMax = 500

/** The pieces between two flushes of the projection. They bound what the overlay takes. */
const piecesUnflushed = 32

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
 * Whether one command is quick enough, or must decide alone: a lock may refuse it, and then nothing
 * may be gone. A shard that is not open is small, because its state is not known.
 */
const isSmall = (shard: WritingShard, namespace: string | undefined): boolean => {
  if (shard.phase.kind !== 'open') return true
  const { overlay, projection } = shard.view().layers
  for (const _ of projection.range(lockRows)) return true
  for (const [, row] of overlay.range(lockRows)) if (row) return true
  return keysOf(shard, namespace, undefined).length < pieceMax
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
  const { namespace, owner } = command
  let removed = 0
  let last: string | undefined
  const left = (): CheckedWrite => ({
    ...options,
    ack: 'applied',
    windowMs: 0,
    deadlineMs: Math.max(1, endsAt - system.clock.monotonic()),
  })
  try {
    for (let pieces = 1; ; pieces++) {
      const phase = await shard.settled()
      if (phase.kind !== 'open') throw shard.unavailable()
      const keys = keysOf(shard, namespace, last)
      if (keys.length < pieceMax) break
      const units = { kind: 'deleteMany', keys, ...(owner === undefined ? {} : { owner }) } as const
      removed += removedBy(await submitMarked(system, shard, { units, options: left() }))
      last = keys.at(-1)
      if (pieces % piecesUnflushed === 0) await flushed(clearing)
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

const flushed = async ({ system, shard, endsAt }: Clearing): Promise<void> => {
  const writer = system.to(LmdbWriter.name(shard.parts.instance, shard.index))
  await LmdbWriter.flush(writer, Math.max(1, endsAt - system.clock.monotonic()))
}

/** The next keys of a namespace after `last`, at most a piece. */
const keysOf = (
  shard: WritingShard,
  namespace: string | undefined,
  last: string | undefined,
): readonly string[] => keysIn(shard.view(), shard.now(), { namespace, after: last, max: pieceMax })

const removedBy = ({ answers: [answer] }: Submitted): number => {
  const known: UnitAnswer | undefined = answer
  if (known?.kind === 'refused') throw refusalError(known)
  if (known?.kind === 'clear') return known.removed
  return known?.kind === 'deleteMany' ? known.deleted : 0
}
