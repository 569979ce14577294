/**
 * A file or folder of a shard on a real disk, with LMDB, is removed, cut, or has a byte changed: a
 * start, a read or `keelson doctor --deep` shows what was acknowledged, or names the damage (needs
 * the build).
 */
import { readdirSync, rmSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { type App, isKeelsonError, start } from 'keelson'
import { expect, test } from 'vitest'
import { seededRandom } from '../../../src/clock.ts'
import { doctor, keyIn, makeFolder } from '../../support/commands/doctor-folder.ts'
import { folderMadeOnce } from '../../support/temp-folder.ts'
import { seedsOf } from '../../support/tier.ts'
import { flip, shard } from './folder-harm.ts'

const copied = folderMadeOnce(makeFolder)

const below = (dir: string): string[] =>
  readdirSync(dir, { recursive: true }).map((name) => join(dir, String(name)))

/** Damages a part of a shard, and says how. */
const damage = (dir: string, random: () => number): string => {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T
  const path = pick(below(shard(dir, pick([0, 1]))))
  const { size } = statSync(path)
  const at = Math.floor(random() * size)
  const isFolder = statSync(path).isDirectory() || size === 0
  const kind = isFolder ? 'remove' : pick(['remove', 'cut', 'flip', 'flip'])
  if (kind === 'remove') rmSync(path, { recursive: true })
  else if (kind === 'cut') truncateSync(path, at)
  else flip(path, at)
  return `${kind} ${path} at ${at} of ${size}`
}

/** What a folder shows that nobody damaged, or the codes of its refusals. */
const shown = async (app: App): Promise<Record<string, unknown>> => {
  const read = async (key: string): Promise<unknown> => {
    try {
      const value = await app.store.load(key)
      return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value
    } catch (error) {
      return isKeelsonError(error) ? error.code : String(error)
    }
  }
  const found: Record<string, unknown> = {}
  for (const [at, count] of [60, 15].entries()) {
    const names = Array.from({ length: count }, (_, each) => `k${each}`)
    for (const name of [...names, 'blob0', 'blob1', 'text', 'gone', 'late'])
      found[`${at}:${name}`] = await read(keyIn(at, name))
  }
  return found
}

test('a damaged folder shows what was acknowledged, or names the damage', async () => {
  const sound = await start({ dir: join(copied(), 'd'), app: false })
  const expected = await shown(sound)
  await sound.close()
  for (const seed of seedsOf(20, 300)) {
    const dir = copied()
    const how = damage(dir, seededRandom(seed))
    const found = await doctor(dir, '--deep')
    const app = await start({ dir: join(dir, 'd'), app: false }).catch((error: unknown) => error)
    if (app instanceof Error) {
      expect(isKeelsonError(app, 'CORRUPT'), `${seed}: ${how}: ${inspect(app)}`).toBe(true)
      expect(found.status, `${seed}: ${how}`).toBe(1)
      continue
    }
    const values = await shown(app as App)
    await (app as App).close()
    for (const [key, value] of Object.entries(values))
      if (value !== 'CORRUPT') expect(value, `${seed}: ${how}: ${key}`).toEqual(expected[key])
    rmSync(dir, { recursive: true })
  }
}, 600_000)
