/**
 * How fresh the state is that a read shows, and how far that state is. By default a read shows
 * everything that is applied: each acknowledged write is part of it.
 */
import { invalidArgument, KeelsonError } from '../../errors.ts'
import { ownOptions } from '../core/argument-check.ts'
import { isCount } from '../core/payload-check.ts'
import type { ReadView } from '../core/read-view.ts'
import type { Position } from '../core/shard-core.ts'
import type { WritingShard } from '../writing/writing-shard.ts'

/**
 * - `applied`: every acknowledged write, from memory and LMDB. The default.
 * - `projected`: what LMDB shows. It survives `kill -9` without reading the log, and may lag.
 * - `{ atLeast }`: as `applied`, and not before these positions are part of it. A synchronous read
 *   is refused with `BUSY` until then; `entries` waits.
 */
export type Freshness =
  | 'applied'
  | 'projected'
  | { readonly atLeast: Position | readonly Position[] }

/** The view of one shard: its watermark `lsn`, the last applied frame `tip`, and their distance. */
export type Watermark = Position & { readonly tip: number; readonly lag: number }

/** The options of a read. */
export type ReadOptions = { readonly freshness?: Freshness }

/** @throws KeelsonError `INVALID_ARGUMENT` */
export const checkFreshness = (freshness: Freshness = 'applied'): Freshness => {
  if (freshness === 'applied' || freshness === 'projected') return freshness
  const isObject = typeof freshness === 'object' && freshness !== null
  const own = isObject ? ownOptions(freshness, ['atLeast'], ['freshness']) : undefined
  const atLeast = positionsIn(own?.atLeast)
  if (atLeast) return { atLeast }
  throw invalidArgument('freshness', 'applied, projected or { atLeast: position }', freshness)
}

/** @throws KeelsonError `INVALID_ARGUMENT` for a position of a shard that there is not */
const checkShards = ({ atLeast }: Exclude<Freshness, string>, shards: number): void => {
  for (const position of [atLeast].flat())
    if (position.shard >= shards)
      throw invalidArgument('freshness', `positions of shards from 0 to ${shards - 1}`, position)
}

/** A copy of a position, or of several, as a list; `undefined` of anything else. */
export const positionsIn = (found: unknown): readonly Position[] | undefined => {
  const positions: Position[] = []
  try {
    // A hole of the list is `undefined` here, which `every` would pass over.
    for (const each of Array.isArray(found) ? found : [found]) {
      const { shard, lsn } = each as Position
      if (!isCount(shard) || !isCount(lsn)) return undefined
      positions.push({ shard, lsn })
    }
    return positions
  } catch {
    return undefined
  }
}

/**
 * The view that a read of this freshness takes.
 * @throws KeelsonError `BUSY` if the shard has not come to `atLeast`; `SHARD_DOWN`, `CLOSED`
 */
export const freshView = (
  shard: WritingShard,
  freshness: Freshness,
  instead?: string,
): ReadView => {
  if (freshness === 'projected') return shard.view(instead).projected
  const view = shard.ownersView(instead)
  if (freshness === 'applied') return view
  const least = leastOf(shard, freshness)
  if (least <= shard.appliedLsn) return view
  throw notCome('BUSY', shard, least)
}

const notCome = (
  code: 'BUSY' | 'TIMEOUT',
  { index: shard, appliedLsn }: WritingShard,
  lsn: number,
) =>
  new KeelsonError(code, `shard ${shard} has not come to lsn ${lsn}`, {
    details: { shard, lsn, appliedLsn },
  })

/** How far the state is that such a read shows. */
export const watermarkOf = (shard: WritingShard, freshness: Freshness): Watermark => {
  const tip = shard.appliedLsn
  // LMDB may have an earlier position: frames of the log's own, which change nothing, move none.
  const lsn = freshness === 'projected' ? shard.projectedLsn : tip
  return { shard: shard.index, lsn, tip, lag: tip - lsn }
}

/**
 * The LSN that the shard must have come to; 0 without one.
 * @throws KeelsonError `INVALID_ARGUMENT` for a position of a shard that there is not
 */
export const leastOf = ({ index, parts }: WritingShard, freshness: Freshness): number => {
  if (typeof freshness === 'string') return 0
  checkShards(freshness, parts.shardCount)
  return [freshness.atLeast]
    .flat()
    .reduce((least, { shard, lsn }) => (shard === index ? Math.max(least, lsn) : least), 0)
}

/**
 * Resolves when the shard has come to `atLeast`, or is down or closed.
 * @throws KeelsonError `TIMEOUT` after the deadline of the instance
 */
export const freshened = async (shard: WritingShard, freshness: Freshness): Promise<void> => {
  const least = leastOf(shard, freshness)
  const { clock, settings } = shard.parts
  let stop = (): void => undefined
  const ended = new Promise<void>((resolve) => {
    const look = (): void => {
      if (shard.appliedLsn >= least) resolve()
    }
    const stopListening = shard.changes.listen({ applied: look, missed: look })
    const cancel = clock.after(settings.deadlineMs, resolve)
    stop = () => {
      cancel()
      stopListening()
      resolve()
    }
    look()
  })
  const isOpen = await shard.unlessStill(ended)
  stop()
  if (!isOpen || shard.appliedLsn >= least) return
  throw notCome('TIMEOUT', shard, least)
}
