/**
 * A projection in LMDB that is filled from a snapshot. The place of the load is under the key of
 * the position, and changes in the transaction of the rows. So the file has either a place or a
 * position, and a start knows which.
 */
import { addressSpaceLeft } from '../disk/address-space.ts'
import type { Disk } from '../ports/disk.ts'
import type { LoadPlace } from '../ports/named-snapshot.ts'
import type { ProjectedPosition } from '../ports/projection-store.ts'
import type { SnapshotRecord, SnapshotTarget } from '../ports/snapshot-rows.ts'
import { encodeLoad, encodePosition } from '../values/row-codec.ts'
import { checkGrowth, type LmdbDatabase, type OpenDatabase, writeRows } from './lmdb-environment.ts'
import { dataFileName, examineProjection } from './lmdb-examination.ts'
import { firstMap, mapBytesDefault } from './lmdb-map.ts'
import { tryFolder } from './lmdb-opening.ts'
import { ProjectionMarks } from './projection-marks.ts'

/**
 * The parts that the target uses. `within` runs each transaction, in a thread inside its exit gate.
 */
export type LmdbTargetParts = {
  readonly openDatabase: OpenDatabase
  readonly disk: Disk
  readonly within: (transaction: () => void) => void
}

/**
 * Opens the projection in `dir` to fill it. A load that was interrupted there goes on if `isOurs`
 * and its file is sound. Anything else is removed. No store may have the folder open.
 * @throws KeelsonError `NO_SPACE`, `CORRUPT`; DiskError
 */
export const lmdbSnapshotTarget = (
  parts: LmdbTargetParts,
  dir: string,
  isOurs: (place: LoadPlace) => boolean,
): SnapshotTarget => {
  const { disk } = parts
  const found = examineProjection(disk, dir, 'branches')
  const place = found.state === 'loading' && isOurs(found.place) ? found.place : undefined
  if (!place) disk.remove(dir)
  return new LmdbSnapshotTarget(parts, dir, place)
}

class LmdbSnapshotTarget implements SnapshotTarget {
  readonly place: LoadPlace | undefined
  readonly #within: LmdbTargetParts['within']
  readonly #marks: ProjectionMarks
  readonly #database: LmdbDatabase
  readonly #at: Parameters<typeof checkGrowth>[2]

  constructor(
    { openDatabase, disk, within }: LmdbTargetParts,
    dir: string,
    place: LoadPlace | undefined,
  ) {
    this.place = place
    this.#within = within
    this.#at = { disk, dir, mapBytesMax: mapBytesDefault }
    disk.makeFolder(dir)
    tryFolder(disk, dir)
    const fileBytes = disk.entry(`${dir}/${dataFileName}`)?.size ?? 0
    const mapBytes = firstMap(fileBytes, mapBytesDefault, addressSpaceLeft(disk))
    this.#marks = new ProjectionMarks(disk, dir)
    this.#database = openDatabase(dir, mapBytes)
    disk.syncFolder(dir)
  }

  append(records: readonly SnapshotRecord[], place: LoadPlace): void {
    this.#write(records, encodeLoad(place))
  }

  complete(records: readonly SnapshotRecord[], position: ProjectedPosition): void {
    this.#write(records, encodePosition(position))
  }

  #write(records: readonly SnapshotRecord[], place: Uint8Array): void {
    const bytes = records.reduce((sum, { key, record }) => sum + key.length + record.length, 0)
    try {
      checkGrowth(this.#database, { entries: records.length + 1, bytes }, this.#at)
      this.#within(() => writeRows(this.#database, records, place))
    } catch (error) {
      this.#marks.distrust()
      throw error
    }
  }

  async close(): Promise<void> {
    await this.#database.close()
    this.#marks.close()
  }
}
