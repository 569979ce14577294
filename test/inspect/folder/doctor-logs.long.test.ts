/**
 * `keelson doctor` judges logs, in a data folder and alone: its findings, its exit status, and that
 * it changes nothing (needs the build).
 */
import {
  cpSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type App, start } from 'keelson'
import { describe, expect, test } from 'vitest'
import { commandHere } from '../../support/commands/command-here.ts'
import {
  change,
  configuration,
  copiesOf,
  everythingIn,
  judged,
  killedFolder,
  segmentsIn,
  setFloors,
  wal,
} from '../../support/commands/command-logs.ts'
import { runKeelson, startKeelson } from '../../support/commands/keelson-command.ts'
import { tempFolder } from '../../support/temp-folder.ts'

/** `work` with the store of the data folder `d` in `dir`. */
const withStore = async <T>(dir: string, work: (app: App) => T | Promise<T>): Promise<T> => {
  const app = await start({ dir: join(dir, 'd'), ...JSON.parse(configuration) })
  try {
    return await work(app)
  } finally {
    await app.close()
  }
}

describe('keelson doctor, of logs,', () => {
  const largeFolder = copiesOf(200)
  const smallFolder = copiesOf(5)

  test('of a folder that was closed is 0, changes nothing, and says so', async () => {
    const dir = largeFolder()
    const before = everythingIn(join(dir, 'd'))

    const { status, output } = await runKeelson(['doctor', 'd'], dir)

    expect(status).toBe(0)
    expect(output).toMatch(/^shard 0 {2}clean, closed: /m)
    expect(everythingIn(join(dir, 'd'))).toBe(before)
  })

  test('of a shard, and of a log alone, is the same', async () => {
    const dir = smallFolder()

    const [shard, log] = [await judged(dir, 'd/shard-0'), await judged(dir, 'd/shard-0/wal')]

    expect([shard.status, log.status]).toEqual([0, 0])
    expect(shard.logs[0].walId).toBe(log.logs[0].walId)
  })

  test('is 0 for a torn tail that opening would cut, and names where', {
    tags: ['D3'],
  }, async () => {
    const dir = await killedFolder(20)
    const newest = segmentsIn(wal(dir)).at(-1) ?? ''
    const { logs } = await judged(dir)
    const size = statSync(newest).size
    change(newest, size - 4096, Buffer.from('half a frame'))

    const found = await judged(dir)

    expect(found.status).toBe(0)
    expect(found.findings).toContainEqual(expect.objectContaining({ code: 'log.torn' }))
    expect(found.logs[0].verdict).toBe('torn')
    expect(found.logs[0]).toMatchObject({ lost: [], lastLsn: logs[0].lastLsn, damage: [] })
    expect(found.logs[0].torn.file).toBe(newest.slice(wal(dir).length + 1))
    expect(await withStore(dir, ({ store }) => store.get('k19'))).toMatchObject({ i: 19 })
  })

  test('is 1 for damage, with all places of it, and what is lost', {
    tags: ['D6', 'D9'],
  }, async () => {
    const dir = largeFolder()
    const [first = '', second = ''] = segmentsIn(wal(dir))
    change(first, 4096 + 100, Buffer.from('!'))
    change(second, 8192, new Uint8Array(8192))

    const { status, logs } = await judged(dir)

    expect([status, logs[0].verdict]).toEqual([1, 'corrupt'])
    const files = logs[0].damage.map(({ file }: { file: string }) => file)
    expect(new Set(files)).toEqual(
      new Set([first, second].map((path) => path.slice(wal(dir).length + 1))),
    )
    expect(logs[0].lost[0]).toEqual({ from: 1, to: 1 })
    expect(logs[0].lost).toHaveLength(2)
    // Opening reads a log from where the projection ends; without a projection, all of it.
    rmSync(join(dir, 'd/shard-0/lmdb'), { recursive: true })
    await expect(withStore(dir, () => undefined)).rejects.toMatchObject({ code: 'CORRUPT' })
  })

  const missing: readonly (readonly [string, (segments: readonly string[]) => void])[] = [
    ['a middle segment is missing', (segments) => rmSync(segments[1] ?? '')],
    ['the newest segment is missing', (segments) => rmSync(segments.at(-1) ?? '')],
    ['the first segment is missing', (segments) => rmSync(segments[0] ?? '')],
    ['a sealed segment is cut short', (segments) => truncateSync(segments[0] ?? '', 9_000)],
    [
      'two segments have changed places',
      ([one = '', other = '']) => {
        renameSync(one, `${one}.kept`)
        renameSync(other, one)
        renameSync(`${one}.kept`, other)
      },
    ],
    ['both copies of a header are gone', ([one = '']) => change(one, 0, new Uint8Array(4096))],
  ]
  for (const [what, damage] of missing)
    test(`is 1 when ${what}`, { tags: ['D11', 'D12', 'D13', 'D14'] }, async () => {
      const dir = largeFolder()
      damage(segmentsIn(wal(dir)))

      const { status, logs } = await judged(dir)

      expect(status).toBe(1)
      expect(logs[0].damage.length).toBeGreaterThan(0)
      const isOnlyMoved = what.includes('places')
      expect(logs[0].lost.length).toBe(isOnlyMoved ? 0 : 1)
    })

  test('is 1 when the projection shows more than the log holds: an old log under newer rows', {
    tags: ['D7'],
  }, async () => {
    const dir = smallFolder()
    cpSync(wal(dir), join(dir, 'old'), { recursive: true })
    await withStore(dir, async ({ store, control }) => {
      for (let i = 0; i < 9; i++) await store.put(`k${i}`, i)
      await control.flushAll()
    })
    rmSync(wal(dir), { recursive: true })
    renameSync(join(dir, 'old'), wal(dir))
    setFloors(join(dir, 'd'), { epoch: 1, lsn: 1 })

    const { status, logs } = await judged(dir)

    expect(status).toBe(1)
    expect(logs[0].provenBy).toBe('the projection')
    expect(logs[0].lost).toEqual([{ from: logs[0].lastLsn + 1, to: logs[0].provenLsn }])
    expect(logs[0].doubtFrom).toBe(logs[0].provenLsn + 1)
    expect((await judged(dir, 'd/shard-0/wal')).status).toBe(0)
  })

  test.each([
    ['an LSN', { epoch: 1, lsn: 9_999 }, () => ({ provenBy: 'floor.json', provenLsn: 9_999 })],
    [
      'an epoch',
      { epoch: 99, lsn: 1 },
      (lsn: number) => ({ damage: [expect.objectContaining({ lsn })], doubtFrom: lsn }),
    ],
  ])('is 1 when floor.json names %s that the log does not reach', async (_, floor, found) => {
    const dir = smallFolder()
    setFloors(join(dir, 'd'), floor)

    const { status, logs } = await judged(dir)

    expect([status, logs[0]]).toMatchObject([1, found(logs[0].lastLsn + 1)])
  })

  test('is 1 without keelson.json, and without a log that it names', async () => {
    const dir = smallFolder()
    cpSync(join(dir, 'd'), join(dir, 'nameless'), { recursive: true })
    rmSync(join(dir, 'nameless/keelson.json'))
    rmSync(wal(dir), { recursive: true })
    mkdirSync(wal(dir))

    const [nameless, empty] = [await judged(dir, 'nameless'), await judged(dir)]

    expect([nameless.status, empty.status]).toEqual([1, 1])
    expect(nameless.findings).toContainEqual(
      expect.objectContaining({ code: 'folder.undescribed' }),
    )
    expect(empty.findings).toContainEqual(expect.objectContaining({ code: 'log.missing' }))
  })

  test('checks a folder that an instance holds, changes nothing in it, and names the holder', async () => {
    const dir = tempFolder()
    writeFileSync(join(dir, 'keelson.config.json'), configuration)
    const instance = startKeelson(['start', '--dir', 'd'], dir)
    await instance.write("await store.put('a', 1)\n")
    await instance.says('lsn: 1')
    await instance.write(
      "let n = 0, on = true; const go = (async () => { while (on) await store.put('k' + n++ % 50, 'x'.repeat(3000)) })()\n1+1\n",
    )
    await instance.says('\n2\n')

    const looks = []
    for (let look = 0; look < 3; look++) looks.push(await judged(dir))
    await instance.write('on = false; await go\n')
    instance.process.stdin?.end()
    const end = await instance.ended

    expect(looks.map(({ status }) => status)).toEqual([0, 0, 0])
    for (const look of looks) expect(look.heldBy).toContain(String(instance.process.pid))
    expect(look0(looks).tail).toBe('open')
    expect(end.status).toBe(0)
    expect(await judged(dir)).toMatchObject({ status: 0, heldBy: null })
  })

  test('takes a copy of a living folder for what it is: a log that was not closed', {
    tags: ['E52'],
  }, async () => {
    const dir = tempFolder()
    const app = await start({ dir: join(dir, 'd') })
    await app.store.put('a', 1)
    cpSync(join(dir, 'd/shard-0/wal'), join(dir, 'copy'), { recursive: true })
    await app.close()

    const found = await judged(dir, 'copy')

    expect(found).toMatchObject({ status: 0, heldBy: null })
    expect(found.logs[0]).toMatchObject({ tail: 'unclean', dataFrames: 1 })
  })

  test.each([
    ['a folder that is missing', ['nowhere'], 'INVALID_ARGUMENT'],
    ['a folder without a log', ['empty'], 'INVALID_ARGUMENT'],
    ['a log with --repair, which is for data folders', ['log', '--repair'], 'INVALID_ARGUMENT'],
  ])('is 1 for %s', async (_, words, code) => {
    const dir = tempFolder()
    mkdirSync(join(dir, 'empty'))
    mkdirSync(join(dir, 'log'))
    writeFileSync(join(dir, 'log/MANIFEST'), '')

    const { status, output, errors } = await commandHere(['doctor', ...words], dir)

    expect([status, `${output}${errors}`.includes(`${code}: `)]).toEqual([1, true])
  })
})

const look0 = (looks: readonly { logs: { tail: string }[] }[]) => ({
  tail: looks[0]?.logs[0]?.tail,
})
