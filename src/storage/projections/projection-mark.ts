/**
 * The mark of one projection by users in the rows of a shard: its version, the generation of rows
 * that is shown, and how far a rebuild has come. It changes in the transaction of the rows that it
 * speaks of, so a crash leaves both as they were. Pure.
 */

import { KeelsonError, type KeptError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import type { Row } from '../ports/projection-store.ts'
import { prefixOf } from '../values/row-key.ts'
import { decodeValue, encodeValue } from '../values/value.ts'

/**
 * - `live`: the shown rows follow every frame.
 * - `stopped`: they show the state at `lsn`, because the configuration does not have this version.
 * - `halted`: they show the state at `lsn`, because `project` threw at the frame after it, or in a
 *   rebuild.
 * - `absent`: there are none yet; a rebuild makes them.
 */
export type ProjectionState = 'live' | 'stopped' | 'halted' | 'absent'

/** A running rebuild: rows up to the row key `cursor` are part of it. */
export type Building = {
  readonly version: number
  readonly generation: number
  readonly cursor: string
  /** The rows that it has walked. */
  readonly rows: number
}

/** The known facts of one projection. */
export type ProjectionMark = {
  readonly state: ProjectionState
  /** The version of the shown rows. */
  readonly version: number
  /** The version whose rebuild threw. */
  readonly thrownBy?: number
  readonly generation: number
  /** The position that the rows show; of no meaning while it is live. */
  readonly lsn: number
  /** Why it is halted. */
  readonly error?: string
  /** The record of that failure. */
  readonly record?: KeptError
  /** When it was halted, in ms since 1970. Earlier versions have not kept it. */
  readonly haltedAt?: number
  readonly building?: Building
  /** Generations whose rows are to be removed. */
  readonly garbage?: readonly number[]
  /** The first and the last LSN that a projection that keeps its rows has not seen. */
  readonly missed?: readonly [from: number, to: number]
}

/** The row key of a projection's mark. */
export const projectionMarkKey = (name: string): string => prefixOf('projectionMark') + name

/** The projection that a mark's row key names. */
export const projectionNameOf = (rowKey: string): string => rowKey.slice(2)

/** The row of a mark. */
export const projectionMarkRow = (mark: ProjectionMark): Row => ({
  value: encodeValue(mark),
  expiresAt: 0,
})

/** Reads a mark. @throws KeelsonError `CORRUPT` */
export const projectionMarkOf = (rowKey: string, row: Row): ProjectionMark => {
  const mark = decodeValue(row.value) as Partial<ProjectionMark> | null
  if (typeof mark?.state === 'string' && typeof mark.generation === 'number')
    return mark as ProjectionMark
  throw new KeelsonError('CORRUPT', 'the mark of a projection cannot be read', {
    details: { key: rowKey },
  })
}

/**
 * The mark that a configured projection goes on with; the same object if nothing changes. `lsn`:
 * the position of the rows, 0 if there are none. `mayRetry`: what was halted is tried again.
 */
export const preparedMark = (
  mark: ProjectionMark | undefined,
  { version, keeps }: { readonly version: number; readonly keeps: boolean },
  lsn: number,
  mayRetry: boolean,
): ProjectionMark => {
  if (!mark) {
    // Without rows there is nothing to build from: every change is still to come.
    if (lsn === 0) return { state: 'live', version, generation: 1, lsn: 0 }
    return {
      state: 'absent',
      version: 0,
      generation: 0,
      lsn: 0,
      building: { version, generation: 1, cursor: '', rows: 0 },
    }
  }
  if (mark.state === 'live' && mark.version === version) return mark
  if (mark.building?.version === version) return mark
  const isHalted = mark.state === 'halted' && (mark.thrownBy ?? mark.version) === version
  if (isHalted && (keeps || !mayRetry)) return mark
  // It stopped for another version, or halted in the rebuild of one: its own rows are as they were.
  if (keeps && mark.version === version) {
    const { error: _, record: __, thrownBy: ___, haltedAt: ____, building, ...kept } = mark
    // One span over all gaps: with frames between them that it has seen.
    const from = mark.missed?.[0] ?? mark.lsn + 1
    return { ...kept, ...garbageOf(mark, building), state: 'live', missed: [from, lsn] }
  }
  return rebuilding(mark, version, lsn)
}

/** The rows that are to be removed, with those of a generation that is given up. */
const garbageOf = (
  { garbage = [] }: ProjectionMark,
  { generation }: Partial<Pick<Building, 'generation'>> = noOptions,
): Pick<ProjectionMark, 'garbage'> => {
  const all = generation ? [...garbage, generation] : garbage
  return all.length > 0 ? { garbage: all } : {}
}

/** The mark of a rebuild that begins. The shown rows stay until it is complete. */
export const rebuilding = (mark: ProjectionMark, version: number, lsn: number): ProjectionMark => {
  const { building, error: _, record: __, thrownBy: ___, haltedAt: ____, ...shown } = mark
  const left = garbageOf(mark, building)
  const generation = Math.max(mark.generation, ...(left.garbage ?? [])) + 1
  return {
    ...shown,
    ...(mark.state === 'live' ? { state: 'stopped', lsn } : {}),
    building: { version, generation, cursor: '', rows: 0 },
    ...left,
  }
}

/** The mark of a complete rebuild: its rows are shown, those before are garbage. */
export const rebuilt = (
  mark: ProjectionMark,
  { version, generation }: Building,
): ProjectionMark => ({ state: 'live', version, generation, lsn: 0, ...garbageOf(mark, mark) })

/** The mark of a projection that no frame after `lsn` reaches. */
export const stoppedMark = (mark: ProjectionMark, lsn: number): ProjectionMark => {
  const { building, ...shown } = mark
  return {
    ...shown,
    ...(mark.state === 'live' ? { state: 'stopped', lsn } : {}),
    ...garbageOf(mark, building),
  }
}

/**
 * The mark of a projection whose function threw after `lsn`. If that was in a rebuild, the rows of
 * the version before stay.
 */
export const haltedMark = (
  mark: ProjectionMark,
  version: number,
  lsn: number,
  failure: Pick<ProjectionMark, 'error' | 'record' | 'haltedAt'>,
): ProjectionMark => ({
  ...stoppedMark(mark, lsn),
  state: 'halted',
  ...(mark.building ? { thrownBy: version } : {}),
  ...failure,
})
