/**
 * A log on a disk that cannot read one of its files: verify, dump and salvage name the file and
 * continue with the others.
 */
import { describe, expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { dumping } from '../../../src/storage/examination/log-dump.ts'
import type { Disk } from '../../../src/storage/ports/disk.ts'
import { salvaging } from '../../../src/tools/restore/shard-salvage.ts'
import { withBadByte, withKinds } from '../../support/harm/odd-files.ts'
import { verifyLog } from '../../support/verify-log.ts'
import { crashedLogOf, dir, newestOn, runToEnd, segmentsOn } from '../../support/worlds/logs.ts'

const to = '/rescued/wal'

const nameOf = (path: string): string => path.slice(dir.length + 1)

const salvage = (disk: Disk) => {
  const found = verifyLog(disk, dir, { heldFrom: 1 })
  disk.makeFolder(to)
  const done = runToEnd(salvaging({ disk, clock: virtualClock(7), from: dir, found, to }))
  return { found, salvaged: done, made: verifyLog(disk, to) }
}

describe('a file with an unreadable byte', () => {
  const bad = 4096 + 1024

  test('loses its content, and verification continues after it', () => {
    const { disk } = crashedLogOf(15)
    const [, path = '', third = ''] = segmentsOn(disk)
    const [base, next] = [path, third].map((each) => Number.parseInt(nameOf(each), 16))
    const last = verifyLog(disk, dir).lastLsn

    const found = verifyLog(withBadByte(disk, path, bad), dir)

    const lost = [{ from: base, to: Number(next) - 1 }]
    expect(found).toMatchObject({ verdict: 'corrupt', lost, lastLsn: last })
    expect(found.damage).toContainEqual({
      file: nameOf(path),
      offset: 0,
      lsn: base,
      evidence: 'the disk cannot read it (EIO)',
    })
  })

  test('loses no more in a salvage, and the rest of the log can be read', () => {
    const { disk } = crashedLogOf(15)
    const [, path = ''] = segmentsOn(disk)

    const { found, salvaged, made } = salvage(withBadByte(disk, path, bad))

    expect(salvaged.lost).toEqual(found.lost)
    expect(made).toMatchObject({ verdict: 'clean', lostBefore: found.lost })
    expect(made.lastLsn).toBe(salvaged.lastLsn)
  })

  test('is damage at any byte of any file, and verification always continues', () => {
    const { disk } = crashedLogOf(9)
    for (const name of disk.list(dir).filter((each) => each !== 'LOCK')) {
      const path = `${dir}/${name}`
      const size = disk.entry(path)?.size ?? 0
      for (let at = 0; at < size; at += 512) {
        const found = verifyLog(withBadByte(disk, path, at), dir, { heldFrom: 1 })
        const isNamed = found.damage.some((each) => each.file === name)
        if (found.verdict !== 'corrupt' || !isNamed)
          expect.fail(`${name} ${at}: ${JSON.stringify({ ...found, good: undefined })}`)
      }
    }
  })

  test('makes the end of the log uncertain if it is the newest', () => {
    const { disk } = crashedLogOf(15)
    const path = newestOn(disk)
    const base = Number.parseInt(nameOf(path), 16)

    const found = verifyLog(withBadByte(disk, path, bad), dir)

    expect(found).toMatchObject({ verdict: 'corrupt', doubtFrom: base })
    expect(found.damage).toHaveLength(1)
  })

  test('does not stop a dump of the files after it', () => {
    const { disk } = crashedLogOf(15)
    const [, path = '', third = ''] = segmentsOn(disk)
    const next = Number.parseInt(nameOf(third), 16)

    const records = [...dumping(withBadByte(disk, path, bad), dir)]

    const lsns = records.flatMap((each) => (each.kind === 'frame' ? each.lsn : []))
    expect(lsns).toContain(next)
    const damage = records.filter((each) => each.kind === 'damage')
    expect(damage).toMatchObject([{ file: nameOf(path), evidence: expect.stringMatching(/EIO/) }])
  })
})

describe('a file that cannot be opened', () => {
  const kinds = { folder: 'folder', device: 'other', 'dangling link': undefined } as const
  for (const [what, kind] of Object.entries(kinds)) {
    test(`because it is a ${what} loses its content, and is named`, () => {
      const { disk } = crashedLogOf(15)
      const path = segmentsOn(disk)[1] ?? ''
      const last = verifyLog(disk, dir).lastLsn
      const [, , third] = segmentsOn(disk)
      const next = Number.parseInt(nameOf(third ?? ''), 16)
      const base = Number.parseInt(nameOf(path), 16)

      const { found, salvaged, made } = salvage(withKinds(disk, { [path]: kind }))

      expect(found.damage).toContainEqual(
        expect.objectContaining({ file: nameOf(path), lsn: base }),
      )
      expect(salvaged.lost).toEqual([{ from: base, to: next - 1 }])
      expect(made).toMatchObject({ verdict: 'clean', lastLsn: last + 1 })
    })
  }

  test('with EACCES loses its content, also if it is the first', () => {
    const { disk } = crashedLogOf(15)
    const [first = '', second = ''] = segmentsOn(disk)
    const next = Number.parseInt(nameOf(second), 16)
    disk.inject({
      at: 1,
      times: Number.POSITIVE_INFINITY,
      operation: 'open',
      path: first,
      fault: { kind: 'error', code: 'EACCES' },
    })

    const { found, salvaged } = salvage(disk)

    expect(found.damage[0]).toMatchObject({ file: nameOf(first), lsn: 1 })
    expect(found.damage[0]?.evidence).toContain('EACCES')
    expect(salvaged.lost).toEqual([{ from: 1, to: next - 1 }])
  })

  test('makes the end of the log uncertain if it is the newest', () => {
    const { disk } = crashedLogOf(15)
    const path = newestOn(disk)
    const base = Number.parseInt(nameOf(path), 16)

    const found = verifyLog(withKinds(disk, { [path]: 'folder' }), dir)

    expect(found).toMatchObject({ verdict: 'corrupt', doubtFrom: base })
  })

  test('is damage without a lost frame if it is MANIFEST', () => {
    const { disk } = crashedLogOf(6)
    const whole = verifyLog(disk, dir)

    for (const kind of Object.values(kinds)) {
      const found = verifyLog(withKinds(disk, { [`${dir}/MANIFEST`]: kind }), dir, { heldFrom: 1 })

      expect(found).toMatchObject({ verdict: 'corrupt', lost: [], frames: whole.frames })
      expect(found.damage).toContainEqual(expect.objectContaining({ file: 'MANIFEST' }))
    }
  })

  test('for lack of descriptors ends the verification: it proves nothing about the file', () => {
    const { disk } = crashedLogOf(6)
    disk.inject({
      at: 1,
      operation: 'open',
      path: '.wal',
      fault: { kind: 'error', code: 'EMFILE' },
    })

    expect(() => verifyLog(disk, dir)).toThrow(expect.objectContaining({ code: 'EMFILE' }))
  })
})
