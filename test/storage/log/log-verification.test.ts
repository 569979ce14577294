/**
 * The verifier looks at all of a log and goes on behind damage. Its verdict is compared with what opening does, for every
 * bit and sector of small logs, and what it names lost with what really is.
 */
import { describe, expect, test } from 'vitest'
import { isKeelsonError } from '../../../src/errors.ts'
import type { LogKnowledge } from '../../../src/storage/log-damage.ts'
import type { LogVerification } from '../../../src/storage/log-judgement.ts'
import { verifyLog } from '../../../src/storage/log-verification.ts'
import type { SimulatedDisk } from '../../../src/storage/simulated-disk.ts'
import { commit, dir, type LogWorld, newestOn, newWorld, payload } from '../../support/logs.ts'

const sector = 512

/** Groups of two frames of 432 bytes, each 1,024 bytes in the file, over segments of 10 KiB; then a crash. */
const logOf = (groups: number): LogWorld => {
  const world = newWorld({ maxFileSize: 10 * 1024, sectorBytes: sector })
  const { log } = world.open()
  for (let group = 0; group < groups; group++)
    commit(log, [payload(2 * group + 1, 400), payload(2 * group + 2, 400)])
  log.abandon()
  world.disk.crash()
  return world
}

const groupAt = (group: number): number => 4096 + (group - 1) * 1024

const verify = (world: LogWorld, knowledge?: LogKnowledge): LogVerification => {
  const { counts } = world.disk
  const before = JSON.stringify([counts.write, counts.truncate, counts.rename, counts.remove])
  const found = verifyLog(world.disk, dir, knowledge)
  const after = JSON.stringify([counts.write, counts.truncate, counts.rename, counts.remove])
  expect(after).toBe(before)
  return found
}

/** What opening says: `corrupt`, `torn`, or `clean` for a log that is whole. */
const opening = (world: LogWorld): string => {
  try {
    const { tail } = world.inspect()
    return tail === 'torn' ? 'torn' : 'clean'
  } catch (error) {
    if (isKeelsonError(error, 'CORRUPT')) return 'corrupt'
    throw error
  }
}

const overwrite = (disk: SimulatedDisk, path: string, offset: number, bytes: Uint8Array): void => {
  const file = disk.open(path, 'write')
  file.write(bytes, offset)
  file.sync()
  file.close()
}

describe('a whole log', () => {
  test('is clean, with every frame counted', () => {
    const world = logOf(3)

    const found = verify(world)

    expect(found).toMatchObject({
      verdict: 'clean',
      tail: 'unclean',
      frames: 6,
      dataFrames: 6,
      firstLsn: 1,
      lastLsn: 6,
      damage: [],
      lost: [],
    })
  })

  test('that was closed is clean to its end', () => {
    const world = logOf(3)
    const { log } = world.open()
    log.handle('close', { projectedLsn: 0 })

    expect(verify(world)).toMatchObject({ verdict: 'clean', tail: 'clean' })
  })

  test('of many segments and lives is clean', () => {
    const world = logOf(20)
    for (let life = 0; life < 3; life++) {
      const { log } = world.open()
      commit(log, [payload(life)])
      log.abandon()
      world.disk.crash()
    }

    const found = verify(world)

    expect(found).toMatchObject({ verdict: 'clean', damage: [], lost: [], remarks: [] })
    expect(found.segments).toBeGreaterThan(5)
  })

  test('that is not there is NO_SEGMENTS', () => {
    const world = newWorld()
    for (const name of world.disk.list(dir)) world.disk.remove(`${dir}/${name}`)

    expect(() => verify(world)).toThrow(expect.objectContaining({ code: 'NO_SEGMENTS' }))
  })
})

describe('the verdict', () => {
  test('agrees with opening whichever bit is turned over', () => {
    const world = logOf(3)
    const path = newestOn(world.disk)
    const counts = new Map<string, number>()
    for (let bit = 0; bit < groupAt(4) * 8 + 4096; bit += bit < 4096 * 8 ? 37 : 1) {
      world.disk.flipBit(path, bit)
      const expected = opening(world)
      const { verdict } = verify(world)
      world.disk.flipBit(path, bit)
      if (verdict !== expected) expect.fail(`bit ${bit}: ${verdict}, opening: ${expected}`)
      counts.set(verdict, (counts.get(verdict) ?? 0) + 1)
    }
    expect([...counts.keys()].sort()).toEqual(['clean', 'corrupt', 'torn'])
  })

  test('agrees with opening whichever sector of any file is zero', () => {
    const world = logOf(12)
    for (const name of world.disk.list(dir)) {
      const path = `${dir}/${name}`
      const size = world.disk.entry(path)?.size ?? 0
      for (let at = 0; at < size; at += sector) {
        const copy = world.on(world.disk.clone())
        overwrite(copy.disk, path, at, new Uint8Array(Math.min(sector, size - at)))
        const expected = opening(copy)
        const { verdict } = verify(copy)
        if (verdict !== expected) expect.fail(`${name} ${at}: ${verdict}, opening: ${expected}`)
      }
    }
  })

  test('agrees with opening wherever any file is cut', () => {
    const world = logOf(12)
    for (const name of world.disk.list(dir)) {
      const path = `${dir}/${name}`
      const size = world.disk.entry(path)?.size ?? 0
      for (let at = 0; at < size; at += 104) {
        const copy = world.on(world.disk.clone())
        const file = copy.disk.open(path, 'write')
        file.truncate(at)
        file.sync()
        file.close()
        const expected = opening(copy)
        const { verdict } = verify(copy)
        if (verdict !== expected) expect.fail(`${name} ${at}: ${verdict}, opening: ${expected}`)
      }
    }
  })
})

describe('damage', () => {
  test('D6: a bit in an acknowledged frame costs that frame, named by file, offset and lsn', () => {
    const world = logOf(3)
    const path = newestOn(world.disk)
    world.disk.flipBit(path, (groupAt(2) + 100) * 8)

    const found = verify(world)

    expect(found.verdict).toBe('corrupt')
    expect(found.damage).toEqual([
      {
        file: path.slice(dir.length + 1),
        offset: groupAt(2),
        lsn: 3,
        evidence: expect.stringContaining('payload'),
      },
    ])
    expect(found.lost).toEqual([{ from: 3, to: 3 }])
    expect(found.lastLsn).toBe(6)
  })

  test('D8: a length that was changed is not believed, and the frames behind it are found', () => {
    const world = logOf(3)
    world.disk.flipBit(newestOn(world.disk), (groupAt(2) + 4) * 8 + 30)

    expect(verify(world)).toMatchObject({
      verdict: 'corrupt',
      damage: [{ offset: 4960, lsn: 3 }],
      lost: [{ from: 3, to: 3 }],
      frames: 5,
    })
  })
})
