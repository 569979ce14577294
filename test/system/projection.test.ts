/** What becomes of a projection that is deleted or damaged while nothing runs. Real files, the built package. */
import { execFileSync } from 'node:child_process'
import {
  closeSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { start } from 'keelson'
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../src/clock.ts'
import { folderMadeOnce, tempFolder } from '../support/temp-folder.ts'
import { sampled, thorough } from '../support/tier.ts'

const keys = Array.from({ length: thorough(800, 3_000) }, (_, at) => `key:${at}`)
const textOf = (key: string) => ({ key, text: key.repeat(10) })

/** A folder with a store that was filled, flushed and closed. */
const filledFolder = folderMadeOnce(async (dir) => {
  const app = await start({ dir })
  await Promise.all(keys.map((key) => app.store.put(key, textOf(key))))
  await app.control.flushAll()
  await app.close()
})

const lmdbOf = (dir: string) => join(dir, 'shard-0', 'lmdb')

const readAll = async (dir: string) => {
  const app = await start({ dir })
  const wrong = keys.filter(
    (key) => JSON.stringify(app.store.get(key)) !== JSON.stringify(textOf(key)),
  )
  const listed = app.store.range({ limit: 10_000 }).entries.length
  await app.close()
  return { wrong, listed }
}

describe('the projection', () => {
  test('is rebuilt whole after its folder was deleted', async () => {
    const dir = filledFolder()
    rmSync(lmdbOf(dir), { recursive: true })

    expect(await readAll(dir)).toEqual({ wrong: [], listed: keys.length })
  })

  test('is rebuilt whole when something else stands in its place', async () => {
    const dir = filledFolder()
    rmSync(lmdbOf(dir), { recursive: true })
    writeFileSync(lmdbOf(dir), 'no folder')

    expect(await readAll(dir)).toEqual({ wrong: [], listed: keys.length })
  })

  test('is rebuilt whole after its file was cut, at whatever length', async () => {
    const dir = filledFolder()
    const file = join(lmdbOf(dir), 'data.mdb')
    for (const part of sampled([0, 0.0001, 0.1, 0.5, 0.99], 2)) {
      truncateSync(file, Math.floor(statSync(file).size * part))
      expect(await readAll(dir), `cut to ${part}`).toEqual({ wrong: [], listed: keys.length })
    }
  })

  test('is rebuilt whole before the first read whatever was flipped in it, after a life that ended before all was examined', async () => {
    const dir = filledFolder()
    const file = join(lmdbOf(dir), 'data.mdb')
    const random = seededRandom(Number(process.env.KEELSON_SEED ?? 7))
    for (let round = 0; round < 25; round += thorough(12, 1)) {
      for (let flips = 0; flips < 1 + round; flips++) flipBit(file, random)
      rmSync(join(lmdbOf(dir), 'CLEAN'), { force: true })
      writeFileSync(join(lmdbOf(dir), 'UNPROVEN'), '')
      expect(await readAll(dir), `round ${round}`).toEqual({ wrong: [], listed: keys.length })
    }
  })

  test.each([
    ['a clean close', []],
    ['a kill', ['CLEAN']],
  ])(
    'with a damaged row answers CORRUPT after %s, and is right once it is rebuilt',
    async (_, gone) => {
      const dir = filledFolder()
      const file = join(lmdbOf(dir), 'data.mdb')
      const bytes = readFileSync(file)
      const text = 'key:500'.repeat(10)
      for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) bytes[at] = 0x21
      writeFileSync(file, bytes)
      for (const name of gone) rmSync(join(lmdbOf(dir), name))

      const app = await start({ dir })
      expect(() => app.store.get('key:500')).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
      // The damage ends the applier: a write that meets its end has an unknown outcome. Once it is
      // decided, the shard shows its whole state again.
      await app.store.put('key:0', textOf('key:0')).catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'UNKNOWN_OUTCOME' })
      })
      await app.store.settled()
      expect(app.store.get('key:500')).toEqual(textOf('key:500'))
      await app.close()
      expect(await readAll(dir)).toEqual({ wrong: [], listed: keys.length })
    },
  )

  test('of a store that was in use when the process was killed is no worse for it', async () => {
    const dir = tempFolder()
    const program = `
      import { start } from 'keelson'
      const app = await start({ dir: ${JSON.stringify(dir)} })
      const puts = ${JSON.stringify(keys)}.map((key) => app.store.put(key, { key, text: key.repeat(10) }))
      await Promise.all(puts)
      process.kill(process.pid, 'SIGKILL')
    `
    expect(() =>
      execFileSync(process.execPath, ['--input-type=module', '-e', program], { stdio: 'ignore' }),
    ).toThrow()

    expect(await readAll(dir)).toEqual({ wrong: [], listed: keys.length })
  })
})

const flipBit = (path: string, random: () => number): void => {
  const file = openSync(path, 'r+')
  const offset = Math.floor(random() * statSync(path).size)
  const byte = Buffer.alloc(1)
  readSync(file, byte, 0, 1, offset)
  byte[0] = (byte[0] ?? 0) ^ (1 << Math.floor(random() * 8))
  writeSync(file, byte, 0, 1, offset)
  closeSync(file)
}
