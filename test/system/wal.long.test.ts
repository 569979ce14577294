/** `keelson/wal` as users get it: the built package, real threads, real files, real processes. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isKeelsonError, Wal } from 'keelson/wal'
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../src/clock.ts'
import { childProgram } from '../support/commands/child-program.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { countOf } from '../support/tier.ts'

const seed = Number(process.env.KEELSON_SEED ?? process.pid)
const rounds = countOf('KEELSON_KILL_ROUNDS', 1, 10)

const contentOf = (number: number): string => `${number} ${'x'.repeat(number % 700)}`

const readAll = async (wal: Wal): Promise<Map<number, string>> => {
  const found = new Map<number, string>()
  for await (const { lsn, bytes } of wal.readAll()) found.set(lsn, Buffer.from(bytes).toString())
  return found
}

/** Runs the program until it ends, or until `until` says that it is time to kill it. */
const run = async (
  args: readonly string[],
  until: (lines: number) => boolean = () => false,
): Promise<{ lines: string[]; code: number | null; stderr: string }> => {
  const lines: string[] = []
  const child = childProgram('wal-writer.mjs', args, (line) => {
    lines.push(line)
    if (until(lines.length)) child.process.kill('SIGKILL')
  })
  const { code } = await child.ended
  return { lines, code, stderr: child.stderr() }
}

describe('a process that is killed with SIGKILL', () => {
  test(`while 64 writers append loses no answered entry in ${rounds} rounds`, {
    tags: ['E32'],
    timeout: rounds * 30_000,
  }, async () => {
    const dir = tempFolder()
    const random = seededRandom(seed)
    const ledger = new Map<number, number>()
    let first = 0
    for (let round = 0; round < rounds; round++) {
      const killAfter = 2 + Math.floor(random() * 20_000)
      const { lines, stderr } = await run(['flood', dir, String(first)], (n) => n === killAfter)
      expect(stderr, `seed ${seed}, round ${round}`).toBe('')
      expect(lines[0]).toMatch(/^open /)
      for (const line of lines.slice(1)) {
        const [number = Number.NaN, lsn = Number.NaN] = line.split(' ').map(Number)
        ledger.set(lsn, number)
        first = Math.max(first, number + 1)
      }
      first += 64
      const wal = await Wal.open({ dir })
      const found = await readAll(wal)
      const lost = [...ledger].filter(([lsn, number]) => found.get(lsn) !== contentOf(number))
      expect(lost, `seed ${seed}, round ${round}`).toEqual([])
      await wal.close()
    }
    expect(ledger.size).toBeGreaterThan(0)
  })
})

describe('a folder', { tags: ['E30'] }, () => {
  test('that another process has open is LOCKED_DIR with its pid, and free when that one is killed', {
    tags: ['D22', 'E30'],
  }, async () => {
    const dir = tempFolder()
    const { promise: opened, resolve } = withResolver()
    const holder = childProgram('wal-writer.mjs', ['hold', dir], resolve)
    await opened
    await expect(Wal.open({ dir })).rejects.toMatchObject({
      code: 'LOCKED_DIR',
      details: { holder: { pid: holder.process.pid, log: 'keelson/wal' } },
    })
    await expect(Wal.repair(dir)).rejects.toMatchObject({ code: 'LOCKED_DIR' })
    expect(await Wal.verify(dir)).toMatchObject({ verdict: 'clean', tail: 'open' })
    holder.process.kill('SIGKILL')
    await holder.ended
    await (await Wal.open({ dir })).close()
  })

  test('that this process has open is LOCKED_DIR for it too, and for others', async () => {
    const dir = tempFolder()
    const wal = await Wal.open({ dir })
    await expect(Wal.open({ dir })).rejects.toMatchObject({ code: 'LOCKED_DIR' })
    expect((await run(['close', dir])).lines[0]).toMatch(/^error LOCKED_DIR .*"pid":\d+/)
    await wal.close()
    expect((await run(['close', dir])).lines).toEqual(['open 2', '0 3'])
  })

  test('whose LOCK names a process that is dead, or nobody, opens', async () => {
    const dir = tempFolder()
    await (await Wal.open({ dir })).close()
    for (const holder of ['{"pid":1,"host":"elsewhere"}\nnonsense\n', 'nobody']) {
      writeFileSync(join(dir, 'LOCK'), holder)
      const wal = await Wal.open({ dir })
      const { lsn } = await wal.writeEntry(Buffer.from(holder))
      expect((await readAll(wal)).get(lsn)).toBe(holder)
      // It holds the folder now, under its own name.
      await expect(Wal.open({ dir })).rejects.toMatchObject({
        ...{ code: 'LOCKED_DIR', details: { holder: { pid: process.pid } } },
      })
      await wal.close()
    }
  })
})

describe('a process that has nothing left to do', () => {
  test('ends, though it has a log open, and loses nothing that was answered', async () => {
    const dir = tempFolder()
    const { lines, code, stderr } = await run(['leave', dir])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(lines).toHaveLength(21)
    const wal = await Wal.open({ dir })
    expect([...(await readAll(wal)).values()]).toEqual(
      Array.from({ length: 20 }, (_, at) => contentOf(at)),
    )
    await wal.close()
  })

  test('ends after it closed its log', async () => {
    const dir = tempFolder()
    expect(await run(['close', dir])).toEqual({ lines: ['open 0', '0 1'], code: 0, stderr: '' })
    expect((await Wal.verify(dir)).tail).toBe('clean')
  })
})

test('two logs in two folders do not know each other', async () => {
  const logs = await Promise.all([1, 2].map(() => Wal.open({ dir: tempFolder() })))
  await Promise.all(logs.map((wal, at) => wal.append(at, Buffer.from(`log ${at}`))))
  expect(await Promise.all(logs.map(async (wal) => [...(await readAll(wal)).values()]))).toEqual([
    ['log 0'],
    ['log 1'],
  ])
  expect(new Set(logs.map(({ report }) => report.walId)).size).toBe(2)
  await Promise.all(logs.map((wal) => wal.close()))
})

test('a log whose folder was named from where the process was stays there when it goes elsewhere', async () => {
  const [home, before] = [tempFolder(), process.cwd()]
  process.chdir(home)
  const wal = await Wal.open({ dir: 'log', maxFileSize: 128 * 1024 })
  process.chdir(before)
  for (let at = 0; at < 5; at++) await wal.append(at, Buffer.alloc(100_000, at))
  expect((await wal.describe()).segments.length).toBeGreaterThan(3)
  await wal.close()
  expect(await Wal.verify(join(home, 'log'))).toMatchObject({ verdict: 'clean', dataFrames: 5 })
})

test('an error of the thread is a KeelsonError here, with its details', async () => {
  const dir = tempFolder()
  await (await Wal.open({ dir })).close()
  const error: unknown = await Wal.open({ dir, minDurable: 1_000 }).catch((reason) => reason)
  expect(isKeelsonError(error, 'CORRUPT')).toBe(true)
  expect(error).toMatchObject({ details: { evidence: expect.stringContaining('minDurable') } })
})

const withResolver = (): { promise: Promise<void>; resolve: () => void } => {
  let resolve = (): void => undefined
  const promise = new Promise<void>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
