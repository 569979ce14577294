/** Snapshots as files, for tests: made of rows, read whole, and damaged. */

import { type Disk, pathIn } from '../../../src/storage/ports/disk.ts'
import type { ProjectedPosition, Row } from '../../../src/storage/ports/projection-store.ts'
import type { SnapshotFacts } from '../../../src/storage/ports/snapshot-host.ts'
import type { SnapshotSource } from '../../../src/storage/ports/snapshot-rows.ts'
import { snapshotName } from '../../../src/storage/snapshots/snapshot-folder.ts'
import { makingSnapshot } from '../../../src/storage/snapshots/snapshot-making.ts'
import { compareKeys } from '../../../src/storage/values/key.ts'
import { encodeRecord } from '../../../src/storage/values/row-codec.ts'

/** The bytes of a snapshot's file. */
export const readWhole = (disk: Disk, dir: string, { lsn }: { readonly lsn: number }): Buffer => {
  const file = disk.open(pathIn(dir, snapshotName(lsn)), 'read')
  try {
    const bytes = Buffer.alloc(file.size())
    file.read(bytes, 0)
    return bytes
  } finally {
    file.close()
  }
}

/** Changes a byte in the first block of a snapshot. */
export const harmFirstBlock = (
  disk: Disk,
  dir: string,
  { lsn }: { readonly lsn: number },
): void => {
  const file = disk.open(pathIn(dir, snapshotName(lsn)), 'write')
  const byte = new Uint8Array(1)
  file.read(byte, 100)
  file.write(Uint8Array.of((byte[0] ?? 0) ^ 1), 100)
  file.close()
}

/** Rows in any order as the source of a snapshot. */
export const sourceOf = (
  rows: Iterable<readonly [string, Row]>,
  position: ProjectedPosition,
): SnapshotSource => {
  const sorted = [...new Map(rows)].sort(([a], [b]) => compareKeys(a, b))
  return {
    position,
    rows: sorted.length,
    *records() {
      for (const [key, row] of sorted) yield encodeRecord(key, row)
    },
    grownBytes: () => 0,
    close: () => undefined,
  }
}

/** Makes a snapshot of `source` in one go. */
export const madeSnapshot = (disk: Disk, dir: string, source: SnapshotSource): SnapshotFacts => {
  const steps = makingSnapshot(disk, dir, source, Number.POSITIVE_INFINITY)
  for (;;) {
    const step = steps.next()
    if (step.done) return step.value
  }
}
