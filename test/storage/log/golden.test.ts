/**
 * Logs that version 1 wrote stay readable byte for byte. Additions of a version 2 are refused or
 * skipped.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { crc32 } from '../../../src/bytes/crc32.ts'
import { isKeelsonError } from '../../../src/errors.ts'
import { verifyRecordProof } from '../../../src/storage/commitments/proof.ts'
import { readChain } from '../../../src/storage/examination/chain-reading.ts'
import { frameTypesOf, golden, restamp } from '../../support/golden-logs.ts'
import {
  commit,
  dir,
  filesOf,
  type LogWorld,
  newestOn,
  payload,
  readAll,
  small,
} from '../../support/worlds/logs.ts'

const home = 'test/golden/wal-v1'
const names = readdirSync(home)

const look = (world: LogWorld): string => {
  try {
    return world.inspect().tail
  } catch (error) {
    if (!isKeelsonError(error)) throw error
    return error.code
  }
}

test('all golden logs of version 1 exist', () => {
  expect(names).toEqual([
    ...['checkpoint', 'clean', 'commitments', 'marker', 'segments', 'torn', 'unclean'],
  ])
})

describe.each(names)('the golden log %s', { tags: ['D26', 'E45'] }, (name) => {
  const expected = JSON.parse(readFileSync(join(home, name, 'expected.json'), 'utf8'))

  test('is read as it was written, and accepts new frames', { tags: ['E45'] }, () => {
    const world = golden(name)
    const { log, report } = world.open()
    const { walId, firstLsn, lastLsn, lastTime, tail, epoch } = expected
    expect(report).toMatchObject({ walId, firstLsn, lastLsn, lastTime, tail, epoch: epoch + 1 })
    expect(readAll(log)).toEqual(expected.frames)

    const { lsns } = commit(log, [payload(1000)])
    log.abandon()
    world.disk.crash()
    expect(readAll(world.open().log).map(({ lsn }) => lsn)).toEqual([
      ...expected.frames.map(({ lsn }: { lsn: number }) => lsn),
      ...lsns,
    ])
  })

  test('is refused, with nothing changed, when its newest header needs a newer reader', {
    tags: ['D26', 'E45'],
  }, () => {
    for (const change of [
      (view: DataView) => view.setUint16(10, 2, true),
      (view: DataView) => view.setUint32(92, 1, true),
      (view: DataView) => view.setUint8(14, 2),
    ]) {
      const world = golden(name)
      const path = newestOn(world.disk)
      const block = world.disk.contents(path).slice(0, 4096)
      for (const at of [0, 2048]) {
        const view = new DataView(block.buffer, at, 512)
        change(view)
        view.setUint32(508, crc32(block.subarray(at, at + 508)), true)
      }
      world.disk.poke(path, 0, block)
      const before = filesOf(world.disk)
      expect(look(world)).toBe('UNSUPPORTED_VERSION')
      expect(filesOf(world.disk)).toEqual(before)
    }
  })
})

test('a frame of an unknown type, flag or type version is refused; a type from 128 on is skipped', {
  tags: ['D26', 'E45'],
}, () => {
  const outcomes = [
    { at: 16, value: 7 },
    { at: 16, value: 127 },
    { at: 16, value: 200 },
    { at: 17, value: 2 },
    { at: 18, value: 2 },
  ].map(({ at, value }) => {
    const world = golden('unclean')
    restamp(world.disk, at, value)
    return look(world)
  })

  expect(outcomes).toEqual([
    'UNSUPPORTED_VERSION',
    'UNSUPPORTED_VERSION',
    'unclean',
    'UNSUPPORTED_VERSION',
    'UNSUPPORTED_VERSION',
  ])
  const world = golden('unclean')
  restamp(world.disk, 16, 200)
  expect(readAll(world.open().log)).toHaveLength(4)
})

test('the golden logs hold every type of frame that version 1 writes', { tags: ['E45'] }, () => {
  expect([...new Set(names.flatMap((name) => frameTypesOf(name)))].sort()).toEqual([
    ...[1, 2, 3, 4, 5, 6],
  ])
})

test('the chain of the golden log with commitments has the root that it had, and goes on', {
  tags: ['E45'],
}, () => {
  const { head } = JSON.parse(readFileSync(join(home, 'commitments/expected.json'), 'utf8'))
  const world = golden('commitments')
  const on = world.on(world.disk, { ...small, commitments: {} })
  const { log } = on.open()
  expect(log.handle('head', null)).toEqual(head)

  commit(log, [payload(1000)])
  log.handle('close', { projectedLsn: 0 })
  const reader = readChain(world.disk, dir)
  expect(reader.rootAt(head.size)).toBe(head.root)
  expect(verifyRecordProof(reader.recordProof({ lsn: 1, index: 0 })).header.seq).toBe(0)
  reader.close()
})
