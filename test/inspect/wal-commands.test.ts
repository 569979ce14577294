/** `keelson wal` as people run it: real processes, real folders, exit statuses (needs the build). */
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { runKeelson, startKeelson } from '../support/keelson-command.ts'
import { tempFolder } from '../support/temp-folder.ts'

const wal = (dir: string, shard = 0): string => join(dir, `d/shard-${shard}/wal`)

const segmentsIn = (dir: string): string[] =>
  readdirSync(dir)
    .filter((name) => name.endsWith('.wal'))
    .sort()
    .map((name) => join(dir, name))

const configuration = JSON.stringify({ wal: { maxFileSize: 131_072 } })

/** A data folder `d` with `count` keys, `k0` and on, one frame each, over several segments. `end` is its last line. */
const newFolder = async (count: number, end = ''): Promise<string> => {
  const dir = tempFolder()
  writeFileSync(join(dir, 'keelson.config.json'), configuration)
  const put = `for (let i = 0; i < ${count}; i++) await store.put('k' + i, { i, text: 'x'.repeat(2000) })`
  await runKeelson(['start', '--dir', 'd'], dir, `${put}\n${end}`)
  return dir
}

/** A line that ends the instance as a crash does, with nothing but what was acknowledged. */
const killed = "process.kill(process.pid, 'SIGKILL')"

const change = (path: string, offset: number, bytes: Uint8Array): void => {
  const file = readFileSync(path)
  file.set(bytes, offset)
  writeFileSync(path, file)
}

/** Names, sizes and contents of all that is in a folder, but for locks. */
const everythingIn = (dir: string): string =>
  JSON.stringify(
    readdirSync(dir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .map((path) => [path, statSync(path).mtimeMs, readFileSync(path, 'base64')]),
  )

const verified = async (dir: string, folder = 'd') => {
  const { status, output, errors } = await runKeelson(['wal', 'verify', folder, '--json'], dir)
  return { status, errors, ...(output ? JSON.parse(output) : {}) }
}

describe('keelson wal verify', () => {
  test('of a folder that was closed is 0, changes nothing, and says so', async () => {
    const dir = await newFolder(200)
    const before = everythingIn(join(dir, 'd'))

    const { status, output } = await runKeelson(['wal', 'verify', 'd'], dir)

    expect(status).toBe(0)
    expect(output).toMatch(/verdict\s+clean, closed/)
    expect(everythingIn(join(dir, 'd'))).toBe(before)
  })

  test('of a shard, and of a log alone, is the same', async () => {
    const dir = await newFolder(20)

    const [shard, log] = [await verified(dir, 'd/shard-0'), await verified(dir, 'd/shard-0/wal')]

    expect([shard.status, log.status]).toEqual([0, 0])
    expect(shard.logs[0].walId).toBe(log.logs[0].walId)
  })

  test('is 3 for a torn tail that opening would cut, and names where (D3)', async () => {
    const dir = await newFolder(20, killed)
    const newest = segmentsIn(wal(dir)).at(-1) ?? ''
    const { logs } = await verified(dir)
    const size = statSync(newest).size
    change(newest, size - 4096, Buffer.from('half a frame'))

    const found = await verified(dir)

    expect(found).toMatchObject({ status: 3, verdict: 'torn' })
    expect(found.logs[0]).toMatchObject({ lost: [], lastLsn: logs[0].lastLsn, damage: [] })
    expect(found.logs[0].torn.file).toBe(newest.slice(wal(dir).length + 1))
    const opened = await runKeelson(['start', '--dir', 'd'], dir, "store.get('k19').i")
    expect([opened.status, opened.output]).toEqual([0, '19\n'])
  })

  test('is 4 for damage, with all places of it, and what is lost (D6, D9)', async () => {
    const dir = await newFolder(200)
    const [first = '', second = ''] = segmentsIn(wal(dir))
    change(first, 4096 + 100, Buffer.from('!'))
    change(second, 8192, new Uint8Array(8192))

    const { status, verdict, logs } = await verified(dir)

    expect([status, verdict]).toEqual([4, 'corrupt'])
    const files = logs[0].damage.map(({ file }: { file: string }) => file)
    expect(new Set(files)).toEqual(
      new Set([first, second].map((path) => path.slice(wal(dir).length + 1))),
    )
    expect(logs[0].lost[0]).toEqual({ from: 1, to: 1 })
    expect(logs[0].lost).toHaveLength(2)
    // Opening reads a log from where the projection ends; without a projection, all of it.
    rmSync(join(dir, 'd/shard-0/lmdb'), { recursive: true })
    const opened = await runKeelson(['start', '--dir', 'd'], dir, '')
    expect([opened.status, /^CORRUPT: /m.test(opened.errors)]).toEqual([1, true])
  })

  const missing: readonly (readonly [string, (segments: readonly string[]) => void])[] = [
    ['a middle segment is missing (D11)', (segments) => rmSync(segments[1] ?? '')],
    ['the newest segment is missing (D12)', (segments) => rmSync(segments.at(-1) ?? '')],
    ['the first segment is missing (D11)', (segments) => rmSync(segments[0] ?? '')],
    ['a sealed segment is cut short (D13)', (segments) => truncateSync(segments[0] ?? '', 9_000)],
    [
      'two segments have changed places (D13)',
      ([one = '', other = '']) => {
        renameSync(one, `${one}.kept`)
        renameSync(other, one)
        renameSync(`${one}.kept`, other)
      },
    ],
    [
      'both copies of a header are gone (D14)',
      ([one = '']) => change(one, 0, new Uint8Array(4096)),
    ],
  ]
  for (const [what, damage] of missing)
    test(`is 4 when ${what}`, async () => {
      const dir = await newFolder(200)
      damage(segmentsIn(wal(dir)))

      const { status, logs } = await verified(dir)

      expect(status).toBe(4)
      expect(logs[0].damage.length).toBeGreaterThan(0)
      const isOnlyMoved = what.includes('places') || what.includes('header')
      expect(logs[0].lost.length).toBe(isOnlyMoved ? 0 : 1)
    })

  test('is 4 when the projection shows more than the log holds: an old log under newer rows (D7)', async () => {
    const dir = await newFolder(5)
    cpSync(wal(dir), join(dir, 'old'), { recursive: true })
    const more = "for (let i = 0; i < 9; i++) await store.put('k' + i, i)"
    await runKeelson(['start', '--dir', 'd'], dir, `${more}\nawait control.flushAll()`)
    rmSync(wal(dir), { recursive: true })
    renameSync(join(dir, 'old'), wal(dir))

    const { status, logs } = await verified(dir)

    expect(status).toBe(4)
    expect(logs[0].provenBy).toBe('the projection')
    expect(logs[0].lost).toEqual([{ from: logs[0].lastLsn + 1, to: logs[0].provenLsn }])
    expect(logs[0].doubtFrom).toBe(logs[0].provenLsn + 1)
    expect((await verified(dir, 'd/shard-0/wal')).status).toBe(0)
  })

  test('is 4 without keelson.json, and without a log that it names', async () => {
    const dir = await newFolder(5)
    cpSync(join(dir, 'd'), join(dir, 'nameless'), { recursive: true })
    rmSync(join(dir, 'nameless/keelson.json'))
    rmSync(wal(dir), { recursive: true })
    mkdirSync(wal(dir))

    const [nameless, empty] = [await verified(dir, 'nameless'), await verified(dir)]

    expect([nameless.status, empty.status]).toEqual([4, 4])
    expect(nameless.damage[0].file).toBe('keelson.json')
    expect(empty.damage[0].evidence).toContain('there is none')
  })

  test('judges a folder that an instance holds, takes nothing from it, and says who holds it', async () => {
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
    for (let look = 0; look < 3; look++) looks.push(await verified(dir))
    await instance.write('on = false; await go\n')
    instance.process.stdin?.end()
    const end = await instance.ended

    expect(looks.map(({ status }) => status)).toEqual([0, 0, 0])
    for (const look of looks) expect(look.heldBy).toContain(String(instance.process.pid))
    expect(look0(looks).tail).toBe('open')
    expect(end.status).toBe(0)
    expect(await verified(dir)).toMatchObject({ status: 0, heldBy: null, verdict: 'clean' })
  })

  test('E52 takes a copy of a living folder for what it is: a log that was not closed', async () => {
    const dir = tempFolder()
    const instance = startKeelson(['start', '--dir', 'd'], dir)
    await instance.write("await store.put('a', 1)\n")
    await instance.says('lsn: 1')
    cpSync(join(dir, 'd/shard-0/wal'), join(dir, 'copy'), { recursive: true })
    instance.process.kill('SIGKILL')
    await instance.ended

    const found = await verified(dir, 'copy')

    expect(found).toMatchObject({ status: 0, heldBy: null })
    expect(found.logs[0]).toMatchObject({ tail: 'unclean', dataFrames: 1 })
  })

  test.each([
    ['a folder that is missing', ['nowhere'], 'INVALID_ARGUMENT'],
    ['a folder without a log', ['empty'], 'NO_SEGMENTS'],
  ])('is 1 for %s', async (_, words, code) => {
    const dir = tempFolder()
    mkdirSync(join(dir, 'empty'))

    const { status, output, errors } = await runKeelson(['wal', 'verify', ...words], dir)

    expect([status, `${output}${errors}`.includes(`${code}: `)]).toEqual([1, true])
  })
})

const look0 = (looks: readonly { logs: { tail: string }[] }[]) => ({
  tail: looks[0]?.logs[0]?.tail,
})

describe('keelson wal dump', () => {
  test('prints frames with commands, keys and values, between the given LSNs', async () => {
    const dir = await newFolder(5, "await store.put('t', 'plain text'); await store.delete('k1')")

    const { status, output } = await runKeelson(
      ['wal', 'dump', 'd', '--from', '5', '--to', '7'],
      dir,
    )

    expect(status).toBe(0)
    const lines = output.split('\n').filter((line) => line.includes('DATA'))
    expect(lines.map((line) => line.replace(/.*Z {2}/, ''))).toEqual([
      expect.stringMatching(/^put "k4" = \{ i: 4, text: 'x+…$/),
      `put "t" = 'plain text'`,
      'delete "k1"',
    ])
  })

  test('as JSON gives one object a line, with values whole', async () => {
    const dir = await newFolder(2, "await store.put('m', new Map([[1, 2n]]))")

    const { output } = await runKeelson(['wal', 'dump', 'd', '--json'], dir)

    const records = output
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    const frames = records.filter(({ type }) => type === 'DATA')
    expect(frames.map(({ lsn, units }) => [lsn, units[0].command, units[0].key])).toEqual([
      [1, 'put', 'k0'],
      [2, 'put', 'k1'],
      [3, 'put', 'm'],
    ])
    expect(frames[1].units[0].value).toEqual({
      tag: 'structured',
      value: { i: 1, text: 'x'.repeat(2000) },
    })
    expect(frames[2].units[0].value).toEqual({ tag: 'structured', base64: expect.any(String) })
    expect(records.at(-1).type).toBe('CLEAN_CLOSE')
  })

  test('shows damage where it is, and goes on behind it', async () => {
    const dir = await newFolder(5)
    change(segmentsIn(wal(dir))[0] ?? '', 4096 + 3000, Buffer.from('!'))

    const { status, output } = await runKeelson(['wal', 'dump', 'd', '--json'], dir)

    const kinds = output
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(status).toBe(0)
    expect(kinds.slice(1, 6).map(({ kind, lsn }) => [kind, lsn])).toEqual([
      ['frame', 1],
      ['damage', 2],
      ['frame', 3],
      ['frame', 4],
      ['frame', 5],
    ])
  })

  test('ends in silence when its reader goes away', async () => {
    const dir = await newFolder(200)
    const command = startKeelson(['wal', 'dump', 'd', '--json'], dir)
    command.process.stdout?.once('data', () => command.process.stdout?.destroy())

    const { status, errors } = await command.ended

    expect([status, errors]).toEqual([0, ''])
  })
})

describe('keelson wal dump to a reader that waits', () => {
  test('waits too, and hears a signal meanwhile', async () => {
    // More than pipes and streams on both sides hold, wherever the reader stops.
    const dir = await newFolder(700)
    const command = startKeelson(['wal', 'dump', 'd', '--json'], dir)
    const { stdout } = command.process
    await new Promise<void>((resolve) => {
      stdout?.once('data', () => {
        stdout.pause()
        resolve()
      })
    })

    command.process.kill('SIGINT')
    await command.says('SIGINT: ending in order', 'errors')
    stdout?.resume()
    const { status, output } = await command.ended

    expect(status).toBe(130)
    expect(output).not.toContain('CLEAN_CLOSE')
  })
})

describe('keelson wal salvage', () => {
  const salvaged = async (dir: string) => {
    const { status, output, errors } = await runKeelson(
      ['wal', 'salvage', 'd', '--to', 'e', '--json'],
      dir,
    )
    return { status, errors, ...(output ? JSON.parse(output) : {}) }
  }

  const valuesIn = async (dir: string, count: number): Promise<(number | null)[]> => {
    const keys = `Array.from({ length: ${count} }, (_, i) => 'k' + i)`
    const { output } = await runKeelson(
      ['start', '--dir', 'e'],
      dir,
      `JSON.stringify(store.getMany(${keys}).map((v) => v?.i ?? null))`,
    )
    return JSON.parse(output.trim().replace(/^'|'$/g, ''))
  }

  test('of a damaged folder gives one that starts with every good value, and 4 with what is lost (E50)', async () => {
    const dir = await newFolder(200)
    const [first = '', second = ''] = segmentsIn(wal(dir))
    change(first, 4096 + 100, Buffer.from('!'))
    change(second, 8192, new Uint8Array(8192))
    const before = everythingIn(join(dir, 'd'))
    const { logs } = await verified(dir)

    const made = await salvaged(dir)

    expect(made.status).toBe(4)
    expect(made.logs[0].lost).toEqual(logs[0].lost)
    expect(everythingIn(join(dir, 'd'))).toBe(before)
    expect(await verified(dir, 'e')).toMatchObject({ status: 0, verdict: 'clean' })
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

  test('of a sound folder loses nothing, and is 0', async () => {
    const dir = await newFolder(50)

    expect(await salvaged(dir)).toMatchObject({ status: 0, logs: [{ lost: [] }] })
    expect(await valuesIn(dir, 50)).toEqual(Array.from({ length: 50 }, (_, index) => index))
  })

  test('of a segment whose header is gone loses nothing (D14)', async () => {
    const dir = await newFolder(200)
    change(segmentsIn(wal(dir))[1] ?? '', 0, new Uint8Array(4096))

    expect(await salvaged(dir)).toMatchObject({ status: 0, logs: [{ lost: [] }] })
    expect(await valuesIn(dir, 200)).toEqual(Array.from({ length: 200 }, (_, index) => index))
  })

  test('of a folder without keelson.json makes one', async () => {
    const dir = await newFolder(20)
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
    const dir = await newFolder(3)
    mkdirSync(join(dir, 'full'))
    writeFileSync(join(dir, 'full/file'), '')
    const before = everythingIn(dir)

    const { status, errors } = await runKeelson(['wal', 'salvage', 'd', '--to', to], dir)

    expect([status, /^INVALID_ARGUMENT: /.test(errors)]).toEqual([1, true])
    expect(everythingIn(dir)).toBe(before)
  })

  test('refuses a source that an instance holds', async () => {
    const dir = tempFolder()
    const instance = startKeelson(['start', '--dir', 'd'], dir)
    await instance.write("await store.put('a', 1)\n")
    await instance.says('lsn: 1')

    const { status, errors } = await runKeelson(['wal', 'salvage', 'd', '--to', 'e'], dir)

    expect([status, /^LOCKED_DIR: /.test(errors)]).toEqual([1, true])
    expect(readdirSync(dir)).toEqual(['d'])
  })

  test('refuses logs that have changed places between shards', async () => {
    const dir = tempFolder()
    writeFileSync(join(dir, 'keelson.config.json'), JSON.stringify({ shards: 2 }))
    const put = "for (let i = 0; i < 20; i++) await store.put('k' + i, i)"
    await runKeelson(['start', '--dir', 'd'], dir, put)
    renameSync(wal(dir, 0), join(dir, 'kept'))
    renameSync(wal(dir, 1), wal(dir, 0))
    renameSync(join(dir, 'kept'), wal(dir, 1))

    expect((await verified(dir)).status).toBe(4)
    const { status, errors } = await runKeelson(['wal', 'salvage', 'd', '--to', 'e'], dir)

    expect([status, /^CORRUPT: /.test(errors)]).toEqual([1, true])
    expect(readdirSync(dir)).not.toContain('e')
  })
})
