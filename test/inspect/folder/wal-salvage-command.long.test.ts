/**
 * `keelson wal salvage` as a command: every good value in a new folder, and a list of the lost ones
 * (needs the build).
 */
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { start } from 'keelson'
import { describe, expect, test } from 'vitest'
import { commandHere } from '../../support/commands/command-here.ts'
import {
  change,
  configuration,
  copiesOf,
  everythingIn,
  judged,
  segmentsIn,
  wal,
} from '../../support/commands/command-logs.ts'
import { folderMadeOnce, tempFolder } from '../../support/temp-folder.ts'

describe('keelson wal salvage', () => {
  const largeFolder = copiesOf(200)
  const smallFolder = copiesOf(20)

  const salvaged = async (dir: string) => {
    const { status, output, errors } = await commandHere(
      ['wal', 'salvage', 'd', '--to', 'e', '--json'],
      dir,
    )
    return { status, errors, ...(output ? JSON.parse(output) : {}) }
  }

  const valuesIn = async (dir: string, count: number): Promise<(number | null)[]> => {
    const app = await start({ dir: join(dir, 'e'), ...JSON.parse(configuration), app: false })
    const values = Array.from({ length: count }, (_, i) => app.store.get(`k${i}`))
    await app.close()
    return values.map((value) => (value as { i: number } | undefined)?.i ?? null)
  }

  test('of a damaged folder gives one that starts with every good value, and 4 with what is lost', {
    tags: ['E50'],
  }, async () => {
    const dir = largeFolder()
    const [first = '', second = ''] = segmentsIn(wal(dir))
    change(first, 4096 + 100, Buffer.from('!'))
    change(second, 8192, new Uint8Array(8192))
    rmSync(join(dir, 'd/shard-0/lmdb'), { recursive: true })
    const before = everythingIn(join(dir, 'd'))
    const { logs } = await judged(dir)

    const made = await salvaged(dir)

    expect(made.status).toBe(4)
    expect(made.logs[0].lost).toEqual(logs[0].lost)
    expect(everythingIn(join(dir, 'd'))).toBe(before)
    expect(await judged(dir, 'e')).toMatchObject({ status: 0, logs: [{ verdict: 'clean' }] })
    const lost = new Set<number>()
    for (const { from, to } of logs[0].lost) for (let lsn = from; lsn <= to; lsn++) lost.add(lsn)
    const values = await valuesIn(dir, 200)
    const gone = values.filter((value) => value === null).length
    expect(gone).toBeGreaterThan(1)
    expect(gone).toBeLessThanOrEqual(lost.size)
    expect(values.every((value, index) => value === null || value === index)).toBe(true)
    expect(JSON.parse(readFileSync(join(dir, 'e/salvage.json'), 'utf8')).logs[0].lost).toEqual(
      logs[0].lost,
    )
  })

  test('of a damaged log whose projection is sound gives every value, in a snapshot of that', async () => {
    const dir = largeFolder()
    change(segmentsIn(wal(dir))[0] ?? '', 4096 + 100, Buffer.from('!'))

    const made = await salvaged(dir)

    expect(made).toMatchObject({ status: 4, logs: [{ lost: [{ from: 1, to: 1 }] }] })
    expect(made.logs[0].snapshots).toHaveLength(1)
    expect(await valuesIn(dir, 200)).toEqual(Array.from({ length: 200 }, (_, index) => index))
  })

  test('of a log of which no file is left gives every value of a sound projection, and goes on behind it', async () => {
    const dir = largeFolder()
    for (const name of readdirSync(join(dir, 'd/shard-0/wal')))
      rmSync(join(dir, 'd/shard-0/wal', name))

    const made = await salvaged(dir)

    expect(made.logs[0].snapshots).toHaveLength(1)
    expect(await valuesIn(dir, 200)).toEqual(Array.from({ length: 200 }, (_, index) => index))
    const app = await start({ dir: join(dir, 'e'), ...JSON.parse(configuration), acts: true })
    const { lsn } = (await app.store.put('k0', { i: 7 })).position
    expect(lsn).toBeGreaterThan(made.logs[0].snapshots[0].lsn)
    await app.close()
    expect(await valuesIn(dir, 2)).toEqual([7, 1])
  })

  describe('of a log that was given back behind a snapshot', () => {
    const releasedFolder = folderMadeOnce(async (dir) => {
      const app = await start({ dir: join(dir, 'd'), ...JSON.parse(configuration) })
      const values = Array.from({ length: 200 }, (_, i) => ({ i, text: 'x'.repeat(2000) }))
      await Promise.all(values.map((value) => app.store.put(`k${value.i}`, value)))
      await app.control.snapshot(0)
      await app.store.put('k0', { i: 0, text: 'again' })
      await app.close()
    })
    const snapshotIn = (dir: string): string => {
      const folder = join(dir, 'd/shard-0/snapshot')
      return join(folder, readdirSync(folder)[0] ?? '')
    }

    test.each([
      [
        'copies the snapshot',
        (dir: string) => rmSync(join(dir, 'd/shard-0/lmdb'), { recursive: true }),
      ],
      [
        'makes one of the projection if it is damaged',
        (dir: string) => change(snapshotIn(dir), 100, Buffer.from('!')),
      ],
      ['makes one of the projection if it is missing', (dir: string) => rmSync(snapshotIn(dir))],
    ])('%s, and the folder starts with every value', async (_, harm) => {
      const dir = releasedFolder()
      harm(dir)

      const made = await salvaged(dir)

      expect(made).toMatchObject({ status: 0, logs: [{ lost: [] }] })
      expect(made.logs[0].firstLsn).toBeGreaterThan(100)
      expect(made.logs[0].snapshots).toHaveLength(1)
      expect(await valuesIn(dir, 200)).toEqual(Array.from({ length: 200 }, (_, index) => index))
    })
  })

  test('of a sound folder loses nothing, and is 0', async () => {
    const dir = smallFolder()

    expect(await salvaged(dir)).toMatchObject({ status: 0, logs: [{ lost: [] }] })
    expect(await valuesIn(dir, 20)).toEqual(Array.from({ length: 20 }, (_, index) => index))
  })

  test('of a segment whose header is gone loses its frames, and is 4', {
    tags: ['D14'],
  }, async () => {
    const dir = largeFolder()
    change(segmentsIn(wal(dir))[1] ?? '', 0, new Uint8Array(4096))
    rmSync(join(dir, 'd/shard-0/lmdb'), { recursive: true })

    const { status, logs } = await salvaged(dir)

    expect(status).toBe(4)
    const [lost, ...more] = logs[0].lost
    expect(more).toEqual([])
    const values = await valuesIn(dir, 200)
    const missing = values.filter((value) => value === null)
    expect(missing.length).toBeGreaterThan(0)
    expect(missing.length).toBeLessThanOrEqual(lost.to - lost.from + 1)
    for (const [index, value] of values.entries()) expect([index, null]).toContain(value)
  })

  test('lists what beside the log cannot be copied, goes on behind it, and is 4', async () => {
    const dir = smallFolder()
    const blobs = join(dir, 'd/shard-0/blobs')
    mkdirSync(blobs, { recursive: true })
    symlinkSync('nothing', join(blobs, '1\n\u001b[2J.bloblog'))
    writeFileSync(join(blobs, '2.bloblog'), 'kept')

    const made = await salvaged(dir)

    expect(made.status).toBe(4)
    const uncopied = [
      { file: join(blobs, '1\n\u001b[2J.bloblog'), offset: 0, evidence: expect.any(String) },
    ]
    expect(made.logs).toMatchObject([{ lost: [], uncopied }])
    expect(JSON.parse(readFileSync(join(dir, 'e/salvage.json'), 'utf8')).logs).toMatchObject([
      { uncopied },
    ])
    expect(readFileSync(join(dir, 'e/shard-0/blobs/2.bloblog'), 'utf8')).toBe('kept')
    rmSync(join(dir, 'e'), { recursive: true })
    const { output } = await commandHere(['wal', 'salvage', 'd', '--to', 'e'], dir)
    expect(output).toMatch(/unread +1 place beside the log/)
    expect(output).toContain('1\\u{a}\\u{1b}[2J.bloblog')
  })

  test('shows how much of the blobs is copied', async () => {
    const dir = smallFolder()
    const blobs = join(dir, 'd/shard-0/blobs')
    mkdirSync(blobs, { recursive: true })
    writeFileSync(join(blobs, '1.bloblog'), new Uint8Array(4 * 1024 * 1024))

    const { errors } = await commandHere(['wal', 'salvage', 'd', '--to', 'e', '--progress'], dir)

    expect(errors).toContain('copying blobs of shard 0  25%')
  })

  test('of a folder without keelson.json makes one', async () => {
    const dir = smallFolder()
    rmSync(join(dir, 'd/keelson.json'))

    expect((await salvaged(dir)).status).toBe(0)
    expect(await valuesIn(dir, 20)).toEqual(Array.from({ length: 20 }, (_, index) => index))
  })

  test.each([
    ['is there and not empty', 'full'],
    ['lies in the source', 'd/inner'],
    ['is the source', 'd'],
    ['is the folder around the source', '.'],
  ])('refuses a target that %s, and makes nothing', async (_, to) => {
    const dir = smallFolder()
    mkdirSync(join(dir, 'full'))
    writeFileSync(join(dir, 'full/file'), '')
    const before = everythingIn(dir)

    const { status, errors } = await commandHere(['wal', 'salvage', 'd', '--to', to], dir)

    expect([status, /^INVALID_ARGUMENT: /.test(errors)]).toEqual([1, true])
    expect(everythingIn(dir)).toBe(before)
  })

  test('refuses a source that an instance holds', async () => {
    const dir = tempFolder()
    const app = await start({ dir: join(dir, 'd') })

    const { status, errors } = await commandHere(['wal', 'salvage', 'd', '--to', 'e'], dir)
    await app.close()

    expect([status, /^LOCKED_DIR: /.test(errors)]).toEqual([1, true])
    expect(readdirSync(dir)).toEqual(['d'])
  })

  test('refuses logs that have changed places between shards', async () => {
    const dir = tempFolder()
    const app = await start({ dir: join(dir, 'd'), shards: 2, ...JSON.parse(configuration) })
    for (let i = 0; i < 20; i++) await app.store.put(`k${i}`, i)
    await app.close()
    renameSync(wal(dir, 0), join(dir, 'kept'))
    renameSync(wal(dir, 1), wal(dir, 0))
    renameSync(join(dir, 'kept'), wal(dir, 1))

    expect((await judged(dir)).status).toBe(1)
    const { status, errors } = await commandHere(['wal', 'salvage', 'd', '--to', 'e'], dir)

    expect([status, /^CORRUPT: /.test(errors)]).toEqual([1, true])
    expect(readdirSync(dir)).not.toContain('e')
  })
})
