/** Snapshots that the MANIFEST names: what they cover may be released, and what the rows are built from after that. */
import { describe, expect, test } from 'vitest'
import type { Log } from '../../../src/storage/log/log.ts'
import { keptSnapshots } from '../../../src/storage/log/log-retention.ts'
import type { LogNeeds, LogOptions } from '../../../src/storage/ports/log-host.ts'
import type { NamedSnapshot } from '../../../src/storage/ports/named-snapshot.ts'
import { crashEverywhere, failEverywhere } from '../../support/harm/log-crashes.ts'
import { verifyLog } from '../../support/verify-log.ts'
import {
  commit,
  dir,
  type LogWorld,
  name as nameSnapshot,
  openedLog,
  payload,
  release,
  segmentsOn,
  small,
} from '../../support/worlds/logs.ts'

const size = 900

const snapshotAt = (lsn: number): NamedSnapshot => ({ lsn, bytes: 1_000 + lsn, sum: 2 ** 32 - lsn })

/** Frames in segments of eight each, and their log. */
const filled = (count = 24, options: LogOptions = small): { world: LogWorld; log: Log } => {
  const { world, log } = openedLog(options)
  for (let number = 1; number <= count; number++) commit(log, [payload(number, size)])
  return { world, log }
}

const name = (log: Log, lsn: number, keep = 1) => nameSnapshot(log, snapshotAt(lsn), keep)

const inspect = (world: LogWorld, needs: Partial<LogNeeds> = {}) =>
  world.log().handle('inspect', {
    dir,
    options: small,
    evidence: [],
    needs: { readFrom: 1, base: { damaged: [] }, ...needs },
  })

const corrupt = expect.objectContaining({ code: 'CORRUPT' })
const invalid = expect.objectContaining({ code: 'INVALID_ARGUMENT' })

describe('a snapshot that is named', () => {
  test('is in every later inspection and opening, and moves the checkpoint', () => {
    const { world, log } = filled()
    expect(name(log, 10)).toEqual({ snapshots: [snapshotAt(10)], checkpointLsn: 10 })
    log.abandon()
    world.disk.crash({ unsynced: 'lost' })
    expect(inspect(world).snapshots).toEqual([snapshotAt(10)])
    for (let life = 0; life < 3; life++) {
      const { log } = world.open()
      const { snapshots, checkpointLsn } = log.handle('describe', null)
      expect([snapshots, checkpointLsn]).toEqual([[snapshotAt(10)], 10])
      if (life === 1) log.handle('close', { projectedLsn: 0 })
      else log.abandon()
    }
    expect(inspect(world).snapshots).toEqual([snapshotAt(10)])
  })

  test('is known from either slot of the MANIFEST', () => {
    const { world, log } = filled()
    name(log, 8)
    name(log, 10)
    log.abandon()
    for (const slot of [0, 4096]) {
      const copy = world.on(world.disk.clone())
      copy.disk.poke(`${dir}/MANIFEST`, slot + 100, Uint8Array.of(0x55, 0xaa))
      expect(inspect(copy).snapshots, `slot at ${slot}`).toEqual([snapshotAt(10)])
    }
  })

  test('takes the place of those before it, and of one at the same LSN', () => {
    const { log } = filled()
    expect(name(log, 5, 2).snapshots).toEqual([5].map(snapshotAt))
    expect(name(log, 9, 2).snapshots).toEqual([5, 9].map(snapshotAt))
    expect(name(log, 9, 2).snapshots).toEqual([5, 9].map(snapshotAt))
    expect(name(log, 12, 2).snapshots).toEqual([9, 12].map(snapshotAt))
    expect(name(log, 13).snapshots).toEqual([13].map(snapshotAt))
  })

  test('is refused beyond the durable LSN, below the first one, and for another number to keep', () => {
    const { log } = filled()
    commit(log, [payload(25, size)], { sync: false })
    const { durableLsn } = log.handle('describe', null)
    expect(() => name(log, durableLsn + 1)).toThrow(invalid)
    for (const keep of [0, 9, 1.5]) expect(() => name(log, 10, keep)).toThrow(invalid)
    name(log, 22)
    const { firstLsn } = release(log)
    expect(firstLsn).toBeGreaterThan(2)
    expect(() => name(log, firstLsn - 2)).toThrow(invalid)
    expect(name(log, firstLsn - 1, 8).snapshots).toEqual([firstLsn - 1, 22].map(snapshotAt))
  })
})

describe('a release', () => {
  test('never passes the oldest snapshot that is named', () => {
    const { log } = filled()
    name(log, 9, 2)
    name(log, 20, 2)
    const lastOf = () => log.handle('describe', null).segments[0]?.lastLsn ?? 0
    release(log)
    expect(lastOf()).toBeGreaterThan(9)
    name(log, 21, 1)
    release(log)
    expect(lastOf()).toBeGreaterThan(21)
    expect(inspectAfter(log).firstLsn).toBeLessThanOrEqual(22)
  })

  test('keeps what the retention asks for', () => {
    const { world, log } = filled(60, { ...small, retention: { bytes: 30_000 } })
    name(log, log.handle('describe', null).durableLsn)
    expect(release(log).removed).toBeGreaterThan(2)
    const kept = log
      .handle('describe', null)
      .segments.reduce((sum, each) => sum + each.usedBytes, 0)
    expect(kept).toBeGreaterThan(30_000)
    expect(kept).toBeLessThan(30_000 + 3 * small.maxFileSize)
    log.abandon()
    const later = world.on(world.disk, small).open().log
    expect(release(later).removed).toBeGreaterThan(2)
  })

  test('leaves everything in its place while the retention keeps all of it', () => {
    const { log } = filled(24, { ...small, retention: { ms: 1_000 } })
    name(log, 20)
    expect(release(log).removed).toBe(0)
  })
})

const inspectAfter = (log: Log) => ({
  firstLsn: log.handle('describe', null).segments[0]?.baseLsn ?? 0,
})

describe('the rows are built', () => {
  const walIdOf = (world: LogWorld) => world.inspect().walId ?? ''
  /** A log that begins behind 1, with a snapshot at 20. */
  const released = () => {
    const { world, log } = filled()
    name(log, 20)
    const { firstLsn } = release(log)
    log.abandon()
    return { world, firstLsn, walId: walIdOf(world) }
  }

  test('from a projection that the log follows, whatever is named', () => {
    const { world, firstLsn, walId } = released()
    for (const lsn of [firstLsn - 1, 20, 22])
      expect(inspect(world, { shown: { walId, epoch: 1, lsn } }).base).toEqual({
        kind: 'projection',
      })
  })

  test('from the snapshot without a projection, or with one of another log or behind the log', () => {
    const { world, firstLsn, walId } = released()
    const base = { kind: 'snapshot', snapshot: snapshotAt(20) }
    expect(inspect(world)).toMatchObject({ base, firstLsn })
    expect(inspect(world, { shown: { walId, epoch: 1, lsn: firstLsn - 2 } }).base).toEqual(base)
    const other = inspect(world, { shown: { walId: '00'.repeat(16), epoch: 1, lsn: 22 } })
    expect(other).toMatchObject({ base, showsOther: true })
  })

  test('from the newest snapshot that is not damaged', () => {
    const { world, log } = filled()
    name(log, 9, 2)
    name(log, 20, 2)
    release(log)
    log.abandon()
    expect(inspect(world).base).toMatchObject({ snapshot: { lsn: 20 } })
    const without = (...lsns: number[]) =>
      inspect(world, { base: { damaged: lsns.map(snapshotAt) } })
    expect(without(20).base).toMatchObject({ snapshot: { lsn: 9 } })
    expect(() => without(20, 9)).toThrow(corrupt)
  })

  test('from the log alone while it has every frame', () => {
    const { world, log } = filled()
    log.abandon()
    expect(inspect(world).base).toEqual({ kind: 'log' })
    const { world: named, log: naming } = filled()
    name(naming, 9)
    naming.abandon()
    expect(inspect(named, { base: { damaged: [snapshotAt(9)] } }).base).toEqual({ kind: 'log' })
    // It was made again at the same LSN since the damaged one was read.
    const replaced = { ...snapshotAt(9), sum: 1 }
    const snapshot = snapshotAt(9)
    expect(inspect(named, { base: { damaged: [replaced] } }).base).toEqual({
      kind: 'snapshot',
      snapshot,
    })
  })

  test('from nothing when frames are missing that nothing has: CORRUPT, with file and evidence', () => {
    const { world, firstLsn, walId } = released()
    const evidence = expect.stringContaining(`begins with lsn ${firstLsn}`)
    const details = { file: expect.stringMatching(/\.wal$/), evidence }
    const lost = {
      base: { damaged: [snapshotAt(20)] },
      shown: { walId, epoch: 1, lsn: firstLsn - 2 },
    }
    for (const needs of [{ base: { damaged: [snapshotAt(20)] } }, lost])
      expect(() => inspect(world, needs)).toThrow(
        expect.objectContaining({ code: 'CORRUPT', details: expect.objectContaining(details) }),
      )
    world.disk.remove(`${dir}/MANIFEST`)
    expect(() => inspect(world)).toThrow(corrupt)
  })

  test('from no projection when the oldest segments are missing and no snapshot has their rows', () => {
    const { world, log } = filled()
    log.abandon()
    const shown = { walId: walIdOf(world), epoch: 1, lsn: 20 }
    const [first = ''] = segmentsOn(world.disk)
    world.disk.remove(first)
    const [damage] = verifyLog(world.disk, dir, { heldFrom: 1, shown }).damage
    expect(damage).toMatchObject({ lsn: 1, evidence: expect.stringContaining('are missing') })
    expect(() => inspect(world, { shown })).toThrow(expect.objectContaining({ details: damage }))
    // Without the MANIFEST nothing tells that no snapshot was named.
    world.disk.remove(`${dir}/MANIFEST`)
    expect(inspect(world, { shown }).base).toEqual({ kind: 'projection' })
  })

  test('and a verification misses no frame at or below a named snapshot', () => {
    const { world } = released()
    const damage = () => verifyLog(world.disk, dir, { heldFrom: 1 }).damage
    expect(damage()).toEqual([])
    world.disk.remove(`${dir}/MANIFEST`)
    expect(damage()).toMatchObject([{ evidence: expect.stringContaining('are missing') }])
  })

  test('also after a power cut at any call, or a failure of any call, while a snapshot is named and frames are released', () => {
    const { world, log } = filled()
    name(log, 5)
    log.abandon()
    world.disk.crash()
    const work = (copy: LogWorld) => {
      const { log } = copy.open()
      try {
        name(log, 20)
        release(log)
      } finally {
        log.abandon()
      }
    }
    const check = (copy: LogWorld, where: string) => {
      const { base, snapshots, firstLsn } = inspect(copy)
      if (base?.kind !== 'snapshot') throw new Error(`${where}: ${base?.kind}`)
      expect([[snapshotAt(5)], [snapshotAt(20)]], where).toContainEqual(snapshots)
      expect(base.snapshot.lsn, where).toBeGreaterThanOrEqual(firstLsn - 1)
      const { log } = copy.open()
      expect(log.handle('describe', null).snapshots, where).toEqual(snapshots)
      log.abandon()
    }
    crashEverywhere(world, work, check)
    failEverywhere(world, { kind: 'error' }, work, (copy, _, where) => check(copy, where))
  })
})

describe('the snapshots that stay', () => {
  const lsnsKept = (lsns: readonly number[], keep: number, end = Number.POSITIVE_INFINITY) =>
    keptSnapshots(lsns.map(snapshotAt), keep, end).map(({ lsn }) => lsn)

  test('are the newest ones without a retention', () => {
    expect(lsnsKept([10, 20, 30], 1)).toEqual([30])
    expect(lsnsKept([10, 20, 30], 2)).toEqual([20, 30])
    expect(lsnsKept([10], 3)).toEqual([10])
  })

  test('are also the one below the retention, and all behind it', () => {
    expect(lsnsKept([10, 20, 30, 40], 1, 25)).toEqual([20, 30, 40])
    expect(lsnsKept([10, 20, 30, 40], 1, 20)).toEqual([20, 30, 40])
    expect(lsnsKept([10, 20, 30, 40], 1, 5)).toEqual([10, 20, 30, 40])
    expect(lsnsKept([10, 20, 30, 40], 1, 99)).toEqual([40])
  })

  test('are at most eight, and the oldest follows the retention at some distance', () => {
    let named: number[] = []
    for (let lsn = 10; lsn <= 5_000; lsn += 10) {
      named = lsnsKept([...named, lsn], 1, lsn - 700)
      expect(named.length).toBeLessThanOrEqual(8)
      expect(named.at(-1)).toBe(lsn)
      if (lsn > 700) expect(named[0]).toBeLessThanOrEqual(lsn - 700)
      expect(named[0]).toBeGreaterThan(lsn - 1_300)
    }
  })
})
