/** `keelson reshard` on real folders, in processes that are killed (needs the build). */
import { existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { start } from 'keelson'
import { expect, test } from 'vitest'
import { runKeelson, startKeelson } from '../../support/commands/keelson-command.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const keys = Array.from({ length: 60 }, (_, at) => `key:${at}`)

/** A folder `d` with a few keys. */
const withFolder = async (): Promise<string> => {
  const dir = tempFolder()
  const app = await start({ dir: join(dir, 'd'), app: false })
  for (const key of keys) await app.store.put(key, { key })
  await app.store.put('large', Buffer.alloc(400_000, 7))
  await app.close()
  return dir
}

/** Opens the folder `d`: its number of shards, or the refusal. */
const opened = async (dir: string): Promise<number | string> => {
  try {
    const app = await start({ dir: join(dir, 'd'), app: false })
    for (const key of keys) expect(app.store.get(key)).toEqual({ key })
    expect(await app.store.load('large')).toEqual(Buffer.alloc(400_000, 7))
    const { length } = app.health().shards
    await app.close()
    return length
  } catch (error) {
    return (error as Error).message
  }
}

const isWaiting = (dir: string): boolean =>
  JSON.parse(readFileSync(join(dir, 'keelson.json'), 'utf8')).waits === true

test('the folder has more shards in its place and may act, and the old one waits beside it', async () => {
  const dir = await withFolder()
  const dry = await runKeelson(['reshard', 'd', '--shards', '4', '--dry-run'], dir)
  expect(dry).toMatchObject({ status: 0, output: expect.stringContaining('nothing is against it') })
  expect(readdirSync(dir)).toEqual(['d'])

  const { status, output, errors } = await runKeelson(['reshard', 'd', '--shards', '4'], dir)
  expect(status, errors).toBe(0)
  expect(output).toMatch(/has 4 shards instead of 1\nThe old one is .*d\.before, and waits/)
  expect(readdirSync(dir).sort()).toEqual(['d', 'd.before'])
  expect([isWaiting(join(dir, 'd')), isWaiting(join(dir, 'd.before'))]).toEqual([false, true])
  expect(await opened(dir)).toBe(4)

  const again = await runKeelson(['reshard', 'd', '--shards', '8'], dir)
  expect(again).toMatchObject({ status: 1, errors: expect.stringContaining('d.before') })
  expect(readdirSync(dir).sort()).toEqual(['d', 'd.before'])
})

test('a symbolic link is refused: the new folder would be made where the link is', async () => {
  const dir = await withFolder()
  symlinkSync('d', join(dir, 'link'))
  const { status, errors } = await runKeelson(['reshard', 'link', '--shards', '4'], dir)
  expect([status, errors]).toEqual([1, expect.stringContaining('is a symbolic link')])
  expect(readdirSync(dir).sort()).toEqual(['d', 'link'])
  expect(await opened(dir)).toBe(1)
})

test('a folder with a unit that would be apart stays as it was, with status 4', {
  tags: ['SH5'],
}, async () => {
  const dir = await withFolder()
  const app = await start({ dir: join(dir, 'd'), app: false })
  await app.store.batch().put('one', 1).put('two', 1).put('three', 1).put('four', 1).commit()
  await app.close()
  const { status, output } = await runKeelson(['reshard', 'd', '--shards', '64'], dir)
  expect(status).toBe(4)
  expect(output).toContain('--accept cross-shard')
  expect(readdirSync(dir)).toEqual(['d'])
  expect(await opened(dir)).toBe(1)
})

test('a folder that is open is LOCKED_DIR, and stays as it was', async () => {
  const dir = await withFolder()
  const app = await start({ dir: join(dir, 'd'), app: false })
  const { status, errors } = await runKeelson(['reshard', 'd', '--shards', '4'], dir)
  await app.close()
  expect(status).toBe(1)
  expect(errors).toContain('LOCKED_DIR')
  expect(readdirSync(dir)).toEqual(['d'])
})

test('a process that is killed before, between and after the steps of the swap leaves a folder that starts, or a refusal whose command completes it', {
  tags: ['SH2'],
}, async () => {
  const preload = join(import.meta.dirname, '../../support/programs/killed-swap.mjs')
  const found: (number | string)[] = []
  const links: (number | string)[] = []
  for (let at = 1; at <= 12; at++) {
    const dir = await withFolder()
    const variables = { NODE_OPTIONS: `--import ${preload}`, KILL_AT: `${at}` }
    const { signal, status } = await startKeelson(['reshard', 'd', '--shards', '4'], dir, variables)
      .ended
    if (status === 0) break
    expect(signal).toBe('SIGKILL')
    const now = await opened(dir)
    if (typeof now === 'number') {
      found.push(now)
      // What is left of a run that was killed is in no one's way.
      if (now === 1)
        expect((await runKeelson(['reshard', 'd', '--shards', '4'], dir)).status).toBe(0)
    } else {
      found.push('refused')
      // Another path of the old folder, beside which is no `d.swap`.
      if (existsSync(join(dir, 'd'))) {
        symlinkSync('../d', join(dir, 'd.resharding', 'd'))
        links.push(await opened(join(dir, 'd.resharding')))
      }
      expect(now).toMatch(/`keelson reshard .*d` completes it/)
      const completed = await runKeelson(['reshard', 'd'], dir)
      expect(completed.status, completed.errors).toBe(0)
    }
    expect(await opened(dir)).toBe(4)
    expect(isWaiting(join(dir, 'd.before'))).toBe(true)
    expect(existsSync(join(dir, 'd.swap'))).toBe(false)
  }
  // Where it opens, the swap had not begun, and was given up.
  expect(links.filter((each) => typeof each === 'string').length).toBeGreaterThan(0)
  expect(found).toContain(1)
  expect(found.filter((each) => each === 'refused').length).toBeGreaterThanOrEqual(3)
})
