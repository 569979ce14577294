/** Segments of a diverged copy of the log are not salvaged as segments of the log. */
import { describe, expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { verifying } from '../../../src/storage/examination/log-verification.ts'
import { salvaging } from '../../../src/tools/restore/shard-salvage.ts'
import { verifyLog } from '../../support/verify-log.ts'
import {
  commit,
  dir,
  type LogWorld,
  newWorld,
  openSalvaged,
  payload,
  type Recovered,
  readAll,
  runToEnd,
  segmentsOn,
} from '../../support/worlds/logs.ts'

const to = '/rescued/wal'

/** One life of `count` frames of `size` bytes with unique content. */
const live = (world: LogWorld, first: number, count: number, size: number): void => {
  const { log } = world.open()
  for (let number = first; number < first + count; number++) commit(log, [payload(number, size)])
  log.handle('close', { projectedLsn: 0 })
}

/** Our log and a diverged copy with frames of `theirSize` bytes. */
const twoTimelines = (theirSize: number) => {
  const ours = newWorld()
  live(ours, 0, 3, 900)
  const theirs = ours.on(ours.disk.clone())
  live(ours, 100, 30, 900)
  live(theirs, 200, 30, theirSize)
  const pairs = segmentsOn(ours.disk).map(
    (own) =>
      [own, segmentsOn(theirs.disk).find((each) => each.slice(-12) === own.slice(-12))] as const,
  )
  return { ours, theirs, pairs }
}

/** Puts a file of the copy in the place of ours, under our name. */
const exchange = (ours: LogWorld, theirs: LogWorld, own: string, foreign: string): void => {
  const bytes = theirs.disk.contents(foreign)
  ours.disk.remove(own)
  const file = ours.disk.open(own, 'create')
  file.write(bytes, 0)
  file.close()
}

const salvaged = (world: LogWorld) => {
  const { disk } = world
  const found = verifyLog(disk, dir, { heldFrom: 1 })
  disk.makeFolder(to)
  const done = runToEnd(salvaging({ disk, clock: virtualClock(7), from: dir, found, to }))
  const { log } = openSalvaged(disk, to)
  return { found, lost: done.lost, frames: readAll(log) }
}

const isOf = (frames: readonly Recovered[]) => {
  const known = new Map(frames.map(({ lsn, content }) => [lsn, content]))
  return ({ lsn, content }: Recovered): boolean => known.get(lsn) === content
}

const namesOf = (path: string): { readonly lsn: number; readonly file: string } => {
  const file = path.slice(dir.length + 1)
  return { file, lsn: Number.parseInt(file, 16) }
}

describe('a segment of a diverged copy', () => {
  const sizes = [900, 600, 1100]
  for (const size of sizes)
    test(`with frames of ${size} bytes is lost, named, and costs nothing else`, () => {
      const { ours, theirs, pairs } = twoTimelines(size)
      const whole = readAll(ours.on(ours.disk.clone()).open().log)
      const isOurs = isOf(whole)
      let tried = 0
      for (const [index, [own, foreign]] of pairs.entries()) {
        const next = pairs[index + 1]?.[0]
        const isCommon =
          foreign && Buffer.from(ours.disk.contents(own)).equals(theirs.disk.contents(foreign))
        // With another LSN in its name it would be refused anyway.
        if (!foreign || isCommon || foreign !== own || !next) continue
        tried++
        const world = ours.on(ours.disk.clone())
        exchange(world, theirs, own, foreign)

        const { found, lost, frames } = salvaged(world)

        const { file, lsn } = namesOf(own)
        const end = namesOf(next).lsn - 1
        expect(found.verdict).toBe('corrupt')
        expect(found.damage.some((each) => each.file === file)).toBe(true)
        // The first segment of the copy follows the common ones: then nothing shows where ours
        // begins.
        const from = tried === 1 ? 1 : lsn
        expect(lost, file).toEqual([{ from, to: end }])
        expect(
          frames.filter((frame) => !isOurs(frame)),
          file,
        ).toEqual([])
        const expected = whole.filter((frame) => frame.lsn < from || frame.lsn > end)
        expect(frames).toEqual(expected)
      }
      expect(tried).toBeGreaterThan(size === 900 ? 5 : 0)
    })

  test('is not mixed with ours, whatever number is exchanged from the front or the back', () => {
    const { ours, theirs, pairs } = twoTimelines(900)
    const isOurs = isOf(readAll(ours.on(ours.disk.clone()).open().log))
    const isTheirs = isOf(readAll(theirs.on(theirs.disk.clone()).open().log))
    for (let from = 0; from < pairs.length; from++)
      for (let end = from + 1; end <= pairs.length; end++) {
        if (from > 0 && end < pairs.length) continue
        const world = ours.on(ours.disk.clone())
        for (const [own, foreign] of pairs.slice(from, end))
          if (foreign === own) exchange(world, theirs, own, foreign)

        const { frames } = salvaged(world)

        const isPure = frames.every(isOurs) || frames.every(isTheirs)
        if (!isPure) expect.fail(`segments ${from} to ${end} are theirs, and both are mixed`)
      }
  })

  test('lets progress count the bytes of files alone, also of those that are read again', () => {
    const { ours, theirs, pairs } = twoTimelines(900)
    const [own = '', foreign = ''] = pairs[3] ?? []
    exchange(ours, theirs, own, foreign)
    const sizes = new Map(
      segmentsOn(ours.disk).map((path) => [
        path.slice(dir.length + 1),
        ours.disk.entry(path)?.size,
      ]),
    )

    const steps = [...verifying(ours.disk, dir)]

    const all = [...sizes.values()].reduce<number>((sum, size) => sum + (size ?? 0), 0)
    for (const { what, bytes, totalBytes } of steps) {
      expect([all, sizes.get(what)]).toContain(totalBytes)
      expect(bytes).toBeLessThanOrEqual(totalBytes)
    }
    const again = steps.filter(({ totalBytes }) => totalBytes !== all)
    expect(again.map(({ what }) => what)).toContain(pairs[2]?.[0].slice(dir.length + 1))
  })

  test('in the place of the newest makes the end of the log uncertain', () => {
    const { ours, theirs, pairs } = twoTimelines(900)
    const [own, foreign] = pairs.at(-1) ?? []
    if (own === undefined || own !== foreign) expect.fail('they have different names')
    exchange(ours, theirs, own, foreign)

    const found = verifyLog(ours.disk, dir, { heldFrom: 1 })

    const { lsn } = namesOf(own)
    expect(found).toMatchObject({ verdict: 'corrupt', lastLsn: lsn - 1 })
    expect(found.doubtFrom).toBeGreaterThanOrEqual(lsn)
  })
})
