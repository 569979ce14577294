/** Repair and verification of a log that no process has open. */
import { describe, expect, test } from 'vitest'
import { dir, segmentsOn } from '../../support/worlds/logs.ts'
import {
  bytesOf,
  filesOn,
  openedWal,
  outcome,
  readAll,
  type WalWorld,
  walWorld,
} from '../../support/worlds/wals.ts'

const written = async (count = 3, size = 600): Promise<WalWorld> => {
  const { world, wal } = await openedWal({ maxFileSize: 64 * 1024, idleMarkerMs: 0 })
  for (let at = 0; at < count; at++) await wal.append(at, bytesOf(at, size))
  world.disk.crash({ unsynced: 'kept' })
  return world
}

/** Overwrites the last byte of the last entry, as a power cut in the last write does. */
const tear = (world: WalWorld): { readonly segment: string } => {
  const segment = segmentsOn(world.disk).at(-1) ?? ''
  const end = world.disk.contents(segment).findLastIndex((byte) => byte !== 0)
  world.disk.poke(segment, end, Uint8Array.of(0))
  return { segment: segment.split('/').at(-1) ?? '' }
}

describe('repair', () => {
  test('cuts a torn tail, reports the place, keeps the bytes in quarantine, and the log opens with the rest', async () => {
    const world = await written()
    const { segment } = tear(world)
    const repaired = await world.repair()
    expect(repaired).toMatchObject({ kept: 2, cut: { segment, lsn: 3 } })
    expect(repaired.cutBytes).toBeGreaterThan(600)
    expect(repaired.cut?.offset).toBeGreaterThan(4096 + 1200)
    expect(world.disk.list(`${dir}/quarantine`)).toEqual([`${segment}-${repaired.cut?.offset}.cut`])
    const wal = await world.open()
    expect(wal.report).toMatchObject({ tail: 'clean', cutBytes: 0 })
    expect((await readAll(wal)).map(({ type }) => type)).toEqual([0, 1])
  })

  test('leaves a valid log unchanged, closed cleanly or not', async () => {
    const world = await written()
    const before = filesOn(world.disk)
    expect(await world.repair()).toEqual({ kept: 3, cutBytes: 0, cut: null })
    expect(filesOn(world.disk)).toEqual(before)
    await (await world.open()).close()
    const closed = filesOn(world.disk)
    expect(await world.repair()).toEqual({ kept: 5, cutBytes: 0, cut: null })
    expect(filesOn(world.disk)).toEqual(closed)
  })

  test('changes nothing the second time', async () => {
    const world = await written()
    tear(world)
    await world.repair()
    expect(await world.repair()).toMatchObject({ cutBytes: 0, cut: null })
  })

  test('is CORRUPT, with nothing changed, for other damage than a torn tail, also before the checkpoint', async () => {
    const world = await written(30)
    const wal = await world.open()
    await wal.createCheckpoint()
    await wal.close()
    world.disk.flipBit(segmentsOn(world.disk)[0] ?? '', (4096 + 100) * 8)
    const before = filesOn(world.disk)
    expect(await outcome(world.repair())).toBe('CORRUPT')
    expect(filesOn(world.disk)).toEqual(before)
  })

  test('is NO_SEGMENTS for a folder without a log, and creates none', async () => {
    const world = walWorld()
    expect(await outcome(world.repair())).toBe('NO_SEGMENTS')
    world.disk.makeFolder(dir)
    expect(await outcome(world.repair())).toBe('NO_SEGMENTS')
    expect(world.disk.list(dir)).toEqual([])
  })

  test('may crash at any call: the next one completes it, and loses no frame', {
    tags: ['slow'],
  }, async () => {
    const world = await written(3)
    tear(world)
    const tried = world.disk.clone()
    const calls = tried.recordCalls()
    await world.on(tried).repair()
    const count = calls.length
    for (let at = 1; at <= count; at++) {
      const disk = world.disk.clone({ seed: at })
      disk.inject({ at, fault: { kind: 'halt' } })
      await outcome(world.on(disk).repair())
      disk.crash()
      await world.on(disk).repair()
      const found = await readAll(await world.on(disk).open())
      expect(
        found.map(({ type }) => type),
        `call ${at}`,
      ).toEqual([0, 1])
    }
  })
})

describe('verify', () => {
  test('reports a valid log as clean, and the cut of a torn one, and changes nothing', {
    tags: ['E51'],
  }, async () => {
    const world = await written()
    expect(await world.verify()).toMatchObject({
      verdict: 'clean',
      lastLsn: 3,
      dataFrames: 3,
      lost: [],
    })
    const { segment } = tear(world)
    const before = filesOn(world.disk)
    expect(await world.verify()).toMatchObject({ verdict: 'torn', torn: { file: segment, lsn: 3 } })
    expect(filesOn(world.disk)).toEqual(before)
    expect((await world.repair()).cut).toMatchObject({ segment, lsn: 3 })
  })

  test('lists all damage and all losses of a log that opening refuses', async () => {
    const world = await written(30)
    const [segment = ''] = segmentsOn(world.disk)
    world.disk.flipBit(segment, (4096 + 100) * 8)
    world.disk.flipBit(segment, (4096 + 5 * 1024 + 100) * 8)
    const { verdict, damage, lost } = await world.verify()
    expect(verdict).toBe('corrupt')
    expect(damage.length).toBeGreaterThanOrEqual(2)
    expect(lost.length).toBeGreaterThanOrEqual(2)
    expect(await outcome(world.open())).toBe('CORRUPT')
  })

  test('uses evidence of the caller, and reports its progress', async () => {
    const world = await written()
    const steps: number[] = []
    const onProgress = async ({ bytes }: { bytes: number }) => {
      steps.push(bytes)
      throw new Error('it changes nothing')
    }
    expect(await world.verify({ minDurable: 4, onProgress })).toMatchObject({
      verdict: 'corrupt',
      lost: [{ from: 4, to: 4 }],
    })
    expect(steps.length).toBeGreaterThan(0)
  })

  test('works on an open log, and does not prevent the opening of a closed one', async () => {
    const world = await written()
    const wal = await world.open()
    await wal.append(9, bytesOf(9))
    expect(await world.verify()).toMatchObject({ verdict: 'clean', tail: 'open', dataFrames: 4 })
    await wal.close()
    expect(await world.verify()).toMatchObject({ verdict: 'clean', tail: 'clean', dataFrames: 4 })
    expect((await world.open()).report.tail).toBe('clean')
  })

  test('reports the content of a read-only folder', async () => {
    const world = await written()
    world.disk.readOnly = true
    expect(await world.verify()).toMatchObject({ verdict: 'clean', lastLsn: 3 })
  })

  test('is NO_SEGMENTS for a folder without a log', async () => {
    const world = walWorld()
    world.disk.makeFolder(dir)
    expect(await outcome(world.verify())).toBe('NO_SEGMENTS')
    for (const odd of [{ minDurable: -1 }, { mindurable: 9 }, { onProgress: 1 }])
      expect(await outcome(world.verify(odd as never))).toBe('CONFIG')
  })
})

describe('verify, repair and opening agree', () => {
  test('about a closed log with bytes after its end: it is clean, nothing is cut, and the report mentions them', async () => {
    const world = await written()
    await (await world.open()).close()
    const segment = segmentsOn(world.disk).at(-1) ?? ''
    const file = world.disk.open(segment, 'write')
    file.write(Buffer.from('garbage'.repeat(200)), file.size())
    file.close()
    const remarks = [expect.stringMatching(/1400 bytes behind the end of the closed log/)]

    const found = await world.verify()

    expect(found).toMatchObject({ verdict: 'clean', tail: 'clean', damage: [], lost: [], remarks })
    expect(found).not.toHaveProperty('torn')
    expect(await world.repair()).toMatchObject({ cutBytes: 0, cut: null })
    const wal = await world.open()
    expect(wal.report).toMatchObject({ tail: 'clean', cutBytes: 0, remarks })
    const kept = world.disk.list(`${dir}/quarantine`)
    expect(kept.map((name) => world.disk.contents(`${dir}/quarantine/${name}`).length)).toEqual([
      1400,
    ])
    await wal.close()
    expect(await world.verify()).toMatchObject({ verdict: 'clean', remarks: [] })
  })

  test('about a missing folder and a file: there is no log', async () => {
    const world = await written()
    const file = segmentsOn(world.disk).at(-1) ?? ''
    for (const path of ['/nowhere', `${file}/below`, file])
      expect(await outcome(world.verify({}, path)), path).toBe('NO_SEGMENTS')
  })
})
