/** What `start` does with folders that are held, full, read-only, newer, or not what the options say. The built package. */
import { execFileSync, spawn } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type App, start } from 'keelson'
import { describe, expect, onTestFinished, test } from 'vitest'
import { noSmallDisk, remount, smallDisk } from '../support/harm/small-disk.ts'
import { lacks } from '../support/lacks.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { sampled, thorough } from '../support/tier.ts'

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'ok',
    (error) => error.code ?? String(error),
  )

/** A child that holds `dir` until it is killed; resolves once it does. */
const holderOf = async (dir: string) => {
  const program = `
    import { start } from 'keelson'
    await start({ dir: ${JSON.stringify(dir)} })
    console.log('held')
    process.stdin.resume()
  `
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const exited = new Promise((resolve) => child.on('exit', resolve))
  await new Promise((resolve) => createInterface({ input: child.stdout }).once('line', resolve))
  const kill = () => {
    child.kill('SIGKILL')
    return exited
  }
  return { pid: child.pid, kill }
}

describe('a folder that another process holds', () => {
  test('is LOCKED_DIR with that process as its holder, and free as soon as it is killed', {
    tags: ['D22'],
  }, async () => {
    const dir = tempFolder()
    const holder = await holderOf(dir)

    const refusal = await start({ dir }).then(
      () => undefined,
      (error) => error,
    )
    expect(refusal).toMatchObject({
      code: 'LOCKED_DIR',
      details: { holder: { pid: holder.pid } },
    })

    await holder.kill()
    const app = await start({ dir })
    await app.close()
  })

  test('is LOCKED_DIR for a second instance in the same process as well', async () => {
    const dir = tempFolder()
    const app = await start({ dir })

    expect(await codeOf(start({ dir }))).toBe('LOCKED_DIR')

    await app.close()
    await (await start({ dir })).close()
  })
})

test('of several processes that make a folder at once one wins, and the others take nothing of it away', async () => {
  for (let round = 0; round < thorough(1, 20); round++) {
    const dir = join(tempFolder(), 'new', 'folder')
    const program = `
      import { start } from 'keelson'
      try {
        const app = await start({ dir: ${JSON.stringify(dir)} })
        await app.store.put('a', 1)
        console.log('ok')
        process.stdin.resume()
      } catch (error) {
        console.log(error.code ?? String(error))
      }
    `
    const children = [1, 2, 3].map(() =>
      spawn(process.execPath, ['--input-type=module', '-e', program], {
        stdio: ['pipe', 'pipe', 'inherit'],
      }),
    )
    const ended = children.map((child) => new Promise((resolve) => child.on('exit', resolve)))
    const said = await Promise.all(
      children.map(
        (child) =>
          new Promise<string>((resolve) =>
            createInterface({ input: child.stdout }).once('line', resolve),
          ),
      ),
    )
    expect(said.sort(), `round ${round}`).toEqual(['LOCKED_DIR', 'LOCKED_DIR', 'ok'])

    for (const child of children) child.kill('SIGKILL')
    await Promise.all(ended)
    const app = await start({ dir })
    expect(app.store.get('a')).toBe(1)
    await app.close()
  }
})

describe('options and folder', () => {
  test('must agree on the number of shards, and the refusal names both', async () => {
    const dir = tempFolder()
    await (await start({ dir, shards: 2 })).close()

    await expect(start({ dir, shards: 3 })).rejects.toMatchObject({
      code: 'CONFIG',
      details: { path: 'shards', found: '3' },
    })
    await (await start({ dir })).close()
  })

  test('of a newer version are refused and left as they are', async () => {
    const dir = tempFolder()
    await (await start({ dir })).close()
    const file = join(dir, 'keelson.json')
    const newer = execFileSync('sed', ['s/"format": 1/"format": 99/', file], { encoding: 'utf8' })
    writeFileSync(file, newer)

    // Changed by hand its checksum does not hold: that is damage, not a version.
    expect(await codeOf(start({ dir }))).toBe('CORRUPT')
    expect(readFileSync(file, 'utf8')).toBe(newer)
  })

  test('without keelson.json while a shard holds frames are CORRUPT, and nothing is made anew', async () => {
    const dir = tempFolder()
    const app = await start({ dir })
    await app.store.put('a', 1)
    await app.close()
    rmSync(join(dir, 'keelson.json'))
    const before = readdirSync(dir, { recursive: true }).sort()

    expect(await codeOf(start({ dir }))).toBe('CORRUPT')
    expect(readdirSync(dir, { recursive: true }).sort()).toEqual(before)
  })

  test.each([
    [{}, 'dir'],
    [{ dir: 7 }, 'dir'],
    [{ dir: 'x', shards: 0 }, 'shards'],
    [{ dir: 'x', wal: { maxFileSize: 1 } }, 'wal.maxFileSize'],
    [{ dir: 'x', wal: { maxFilesize: 1 } }, 'wal.maxFilesize'],
    [{ dir: 'x', lmdb: 7 }, 'lmdb'],
    [{ dir: 'x', overlay: { keys: 1.5 } }, 'overlay.keys'],
    [{ dir: 'x', typo: true }, 'typo'],
    [{ dir: 'x', app: { kind: 'worker' } }, 'app.id'],
  ])('are refused when wrong, with the path in them: %j', async (options, path) => {
    await expect(start(options as never)).rejects.toMatchObject({
      code: 'CONFIG',
      details: { path },
    })
  })
})

describe.skipIf(lacks(noSmallDisk))('a small disk', () => {
  const wal = { maxFileSize: 256 * 1024 }
  const value = 'x'.repeat(1_000)

  /** Puts until the store refuses; answers the keys that were acknowledged, and the refusal's code. */
  const fill = async (app: App, prefix: string) => {
    const acknowledged: string[] = []
    for (let group = 0; ; group++) {
      const keys = Array.from({ length: 8 }, (_, at) => `${prefix}:${group}:${at}`)
      const codes = await Promise.all(keys.map((key) => codeOf(app.store.put(key, value))))
      acknowledged.push(...keys.filter((_, at) => codes[at] === 'ok'))
      const code = codes.find((each) => each !== 'ok')
      if (code !== undefined) return { acknowledged, code }
    }
  }

  const missing = (app: App, keys: readonly string[]) =>
    keys.filter((key) => app.store.get(key) !== value)

  test.each(sampled(['768k', '1m', '1200k', '2m'], 1))(
    'of %s that is too small for a shard is NO_SPACE at start, and nothing is left behind',
    async (size) => {
      const dir = smallDisk(size)

      expect(await codeOf(start({ dir }))).toBe('NO_SPACE')
      expect(readdirSync(dir)).toEqual([])

      expect(await codeOf(start({ dir: join(dir, 'new', 'folder') }))).toBe('NO_SPACE')
      expect(readdirSync(dir)).toEqual([])
    },
  )

  test('that fills up refuses writes, goes on reading, and opens again once there is space, with all acknowledged', async () => {
    // Two MB for the store, and one that is freed later.
    const disk = smallDisk('3m')
    const ballast = join(disk, 'ballast')
    writeFileSync(ballast, Buffer.alloc(1024 * 1024))
    const dir = join(disk, 'data')
    const app = await start({ dir, wal, deadlineMs: 5_000 })
    const { acknowledged, code } = await fill(app, 'first')
    expect(code).toBe('NO_SPACE')
    expect(acknowledged.length).toBeGreaterThan(500)
    expect(missing(app, acknowledged)).toEqual([])
    await app.close({ deadlineMs: 5_000 })

    rmSync(ballast)
    const again = await start({ dir, wal })
    expect(missing(again, acknowledged)).toEqual([])
    const more = await fill(again, 'second')
    expect(more.acknowledged.length).toBeGreaterThan(100)
    expect(missing(again, [...acknowledged, ...more.acknowledged])).toEqual([])
    await again.close({ deadlineMs: 5_000 })
  })

  test('that is read-only is READ_ONLY, whether there is a folder on it or not', {
    tags: ['D28'],
  }, async () => {
    const disk = smallDisk('40m')
    const dir = join(disk, 'data')
    await (await start({ dir })).close()
    remount(disk, 'ro')

    expect(await codeOf(start({ dir }))).toBe('READ_ONLY')
    expect(await codeOf(start({ dir: join(disk, 'other') }))).toBe('READ_ONLY')
  })
})
