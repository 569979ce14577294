/** LMDB as a projection store: the contract on real files, and the faults that only LMDB has. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import { nodeDisk } from '../../../src/storage/disk/node-disk.ts'
import { loadLmdb } from '../../../src/storage/lmdb/lmdb-environment.ts'
import { examineProjection } from '../../../src/storage/lmdb/lmdb-examination.ts'
import { lmdbProjections } from '../../../src/storage/lmdb/lmdb-projection-store.ts'
import type { ProjectionStore, RowChange } from '../../../src/storage/ports/projection-store.ts'
import { projectionStoreContract } from '../../contracts/projection-store.contract.ts'
import { positionAt, textRow } from '../../support/worlds/projection-rows.ts'

const disk = nodeDisk()
const openDatabase = await loadLmdb()

const make = (options = {}) => {
  const root = mkdtempSync(join(tmpdir(), 'keelson-lmdb-'))
  return {
    projections: lmdbProjections(
      openDatabase,
      disk,
      (dir) => Promise.resolve(examineProjection(disk, dir)),
      options,
    ),
    dir: join(root, 'lmdb'),
    release: () => Promise.resolve(rmSync(root, { recursive: true, force: true })),
  }
}

projectionStoreContract('LMDB', make)

test('a large commit is encoded in several turns, with reads in between, and closing waits for it', async () => {
  const turns: (() => void)[] = []
  let now = 0
  const clock = {
    ...systemClock(),
    monotonic: () => now++,
    soon: (action: () => void) => void turns.push(action),
  }
  const { projections, dir, release } = make({ clock })
  const store = projections.open(dir)
  const rows = Array.from({ length: 1_000 }, (_, at): RowChange => [`k${at}`, textRow('x')])
  const takeTurns = async (between: () => void = () => undefined) => {
    let count = 0
    for (let turn = turns.shift(); turn; turn = turns.shift(), count++) {
      between()
      turn()
      await new Promise((resolve) => setImmediate(resolve))
    }
    return count
  }
  const committing = store.commit(rows, positionAt(1))
  expect(await takeTurns(() => expect(store.get('k0')).toBeUndefined())).toBeGreaterThan(2)
  await committing
  expect([...store.range({})]).toHaveLength(1_000)

  const last = store.commit(rows, positionAt(2))
  const closed = store.close()
  expect(await takeTurns()).toBeGreaterThan(2)
  await Promise.all([last, closed])
  const again = projections.open(dir)
  expect(again.position()).toEqual(positionAt(2))
  await again.close()
  await release()
})

test('a store that outgrows its map continues and is sound', async () => {
  const { projections, dir, release } = make({ firstMapBytes: 1 << 20 })
  const store = projections.open(dir)
  const value = { tag: 2, bytes: Buffer.alloc(3000, 7) } as const
  for (let lsn = 1; lsn <= 40; lsn++)
    await store.commit(
      Array.from({ length: 100 }, (_, index) => [`k${lsn * 100 + index}`, { value, expiresAt: 0 }]),
      positionAt(lsn),
    )
  expect(store.describe().rows).toBe(4000)
  expect(store.describe().bytes).toBeGreaterThan(8 << 20)
  expect([...store.range({})]).toHaveLength(4000)
  await store.close()
  expect(await projections.examine(dir)).toMatchObject({
    state: 'sound',
    rows: 4000,
    position: positionAt(40),
  })
  const again = projections.open(dir)
  expect(again.get('k4099')?.value.bytes).toEqual(value.bytes)
  await again.close()
  await release()
})

test('a lock file of a dead process does not prevent an opening', async () => {
  const { projections, dir, release } = make()
  const store = projections.open(dir)
  await store.commit([['a', textRow('1')]], positionAt(1))
  await store.close()
  const lock = disk.open(`${dir}/lock.mdb`, disk.entry(`${dir}/lock.mdb`) ? 'write' : 'create')
  lock.write(Buffer.alloc(8192, 0xa5), 0)
  lock.close()
  const again = projections.open(dir)
  expect(again.get('a')?.value.bytes).toEqual(Buffer.from('1'))
  await again.close()
  await release()
})

test('a cut file does not open', async () => {
  const { projections, dir, release } = make()
  const store = projections.open(dir)
  await store.commit([['a', textRow('1')]], positionAt(1))
  await store.close()
  for (const size of [0, 100, 4096, 4200]) {
    const file = disk.open(`${dir}/data.mdb`, 'write')
    file.truncate(size)
    file.close()
    expect(() => projections.open(dir)).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
    expect(await projections.examine(dir)).toMatchObject({ state: 'damaged' })
  }
  await release()
})

test.each([
  [
    'its native module',
    new Error('No native build was found for platform=linux'),
    /: install the dependencies on this machine: npm ci, then npm rebuild lmdb \(No native/,
  ],
  [
    'a native module of this machine',
    Object.assign(new Error('invalid ELF header'), { code: 'ERR_DLOPEN_FAILED' }),
    /npm rebuild lmdb \(invalid ELF header\)$/,
  ],
  [
    'its package',
    Object.assign(new Error("Cannot find package 'lmdb'"), { code: 'ERR_MODULE_NOT_FOUND' }),
    /: the package is missing: .* npm ci \(Cannot find package 'lmdb'\)$/,
  ],
  ['a cause that is known', new Error('odd'), /^lmdb cannot be loaded on \S+ \S+ \(odd\)$/],
])('LMDB without %s is CONFIG, with the remedy for this cause', async (_, cause, message) => {
  await expect(loadLmdb(() => Promise.reject(cause))).rejects.toMatchObject({
    ...{ code: 'CONFIG', message: expect.stringMatching(message), cause },
    details: { path: 'lmdb', found: cause.message },
  })
})

test.each(['file:///app/out/app.mjs', 'file:///app/dist/index.js', ''])(
  'in a bundle (%j, empty in CommonJS) LMDB is not loaded, and the refusal says how to leave packages out',
  async (place) => {
    let loads = 0
    const load = () => Promise.reject(new Error(`load ${++loads}`))

    const started = loadLmdb(load, place)

    await expect(started).rejects.toMatchObject({
      ...{ code: 'CONFIG', message: expect.stringContaining('--packages=external') },
      details: { path: 'package' },
    })
    expect(loads).toBe(0)
  },
)

test('a store that may not grow refuses the commit and keeps what it has; a larger bound lets it go on', async () => {
  const { projections, dir, release } = make({ firstMapBytes: 1 << 20 })
  const value = { tag: 2, bytes: Buffer.alloc(3000, 7) } as const
  const fill = async (store: ProjectionStore, from: number) => {
    for (let lsn = from; lsn <= 40; lsn++)
      await store.commit(
        Array.from({ length: 100 }, (_, at) => [`k${lsn * 100 + at}`, { value, expiresAt: 0 }]),
        positionAt(lsn),
      )
  }
  const store = projections.open(dir, 8 << 20)
  await expect(fill(store, 1)).rejects.toMatchObject({ code: 'NO_SPACE' })
  const { lsn } = store.position() ?? { lsn: 0 }
  expect(lsn).toBeGreaterThan(1)
  expect(store.describe().rows).toBe(100 * lsn)
  await store.close()

  const larger = projections.open(dir)
  await fill(larger, lsn + 1)
  expect(larger.describe().rows).toBe(4000)
  await larger.close()
  await release()
})
