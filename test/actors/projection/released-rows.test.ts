/** The rows of blobs whose frames the log has given back: they go, some with each commit. */
import { describe, expect, test } from 'vitest'
import { ReleasedRows } from '../../../src/actors/projection/released-rows.ts'
import { KeelsonError } from '../../../src/errors.ts'
import type { ProjectionStore, Row, RowChange } from '../../../src/storage/index.ts'
import { loggedBlobRow } from '../../../src/storage/rows/blob-rows.ts'
import { MapRows } from '../../support/worlds/map-rows.ts'

const blob = (at: number, lsn: number): [string, Row] =>
  loggedBlobRow({ size: 1, segment: 1, offset: at, sha256: new Uint8Array(32) }, lsn) as never

/** A projection with the rows of blobs that frames with these LSNs refer to, and another row. */
const projectionOf = (...lsns: readonly number[]) => {
  const rows = new MapRows([...lsns.map((lsn, at) => blob(at, lsn)), ['user', blob(0, 1)[1]]])
  return rows as unknown as ProjectionStore & MapRows
}

/** Makes a commit of `changes`. Returns what goes before them. */
const commit = (
  released: ReleasedRows,
  projection: ProjectionStore & MapRows,
  changes: readonly RowChange[] = [],
) => {
  const all = [...released.before(changes, projection)]
  expect(all.slice(all.length - changes.length)).toEqual(changes)
  for (const [key, row] of all) if (row === undefined) projection.rows.delete(key)
  return all.slice(0, all.length - changes.length)
}

describe('a commit', () => {
  test('takes no row along before the log has given frames back', () => {
    const released = new ReleasedRows()
    const projection = projectionOf(1, 2)
    released.begin(1)
    expect(commit(released, projection, [blob(7, 9)])).toEqual([])
    expect(projection.rows.size).toBe(3)
  })

  test('removes the rows whose last frame was given back, once, before its own changes', () => {
    const released = new ReleasedRows()
    const projection = projectionOf(1, 4, 5, 9)
    released.begin(5)
    const gone = [blob(0, 1)[0], blob(1, 4)[0]]
    expect(commit(released, projection, [blob(0, 12)])).toEqual(gone.map((key) => [key, undefined]))
    projection.rows.set(...blob(0, 2))
    // Nothing was given back since.
    for (const firstLsn of [5, 3]) {
      released.begin(firstLsn)
      expect(commit(released, projection)).toEqual([])
    }
    released.begin(6)
    expect(commit(released, projection)).toHaveLength(2)
    expect([...projection.rows.keys()]).toEqual([blob(3, 9)[0], 'user'].sort())
  })

  test('looks at 500 rows at most: the next one goes on behind them', () => {
    const released = new ReleasedRows()
    const projection = projectionOf(...Array.from({ length: 1_200 }, (_, at) => (at % 2) + 1))
    released.begin(2)
    const removed = Array.from({ length: 5 }, () => commit(released, projection).length)
    expect(removed).toEqual([250, 250, 100, 0, 0])
  })

  test('leaves the rest over at a damaged row, and fails for another reason', () => {
    const failing = (error: Error) => {
      const projection = projectionOf(1, 1)
      const { range } = projection
      projection.range = function* (of) {
        let rows = 0
        for (const each of range.call(projection, of)) {
          if (rows++ === 1) throw error
          yield each as [string, Row]
        }
      }
      return projection
    }
    const released = new ReleasedRows()
    released.begin(2)
    expect(commit(released, failing(new KeelsonError('CORRUPT', 'torn')))).toHaveLength(1)
    expect(commit(released, projectionOf(1))).toEqual([])
    released.begin(3)
    expect(() => commit(released, failing(new Error('away')))).toThrow('away')
  })
})
