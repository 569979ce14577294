/** Actors killed under load in a running instance: the built package, real threads, real files. */
import { type App, type KeelsonError, name as nameOf, start, surveyTree } from 'keelson'
import { describe, expect, test } from 'vitest'
import { tempFolder } from '../support/temp-folder.ts'
import { thorough } from '../support/tier.ts'

/** Puts of which the one in the middle meets a kill. */
const count = thorough(1_500, 20_000)

/** Puts `count` keys with 256 writers; answers what became of each. */
const load = async (app: App, count: number, onPut: (at: number) => void) => {
  const outcomes = new Map<string, string>()
  let next = 0
  const writer = async () => {
    for (let at = next++; at < count; at = next++) {
      onPut(at)
      const key = `key:${at}`
      outcomes.set(
        key,
        await app.store.put(key, at).then(
          () => 'ok',
          (error: KeelsonError) => error.code,
        ),
      )
    }
  }
  await Promise.all(Array.from({ length: 256 }, writer))
  return outcomes
}

describe.each([
  ['wal_writer(0)', nameOf('wal_writer(0)'), ['wal_writer(0)', 'applier(0)', 'lmdb_writer(0)']],
  ['applier(0)', nameOf('applier(0)'), ['applier(0)', 'lmdb_writer(0)']],
  ['lmdb_writer(0)', nameOf('lmdb_writer(0)'), ['lmdb_writer(0)']],
] as const)('%s, killed under load', (_, name, restarted) => {
  test('comes back with those behind it in order; each caller gets its answer, and the store goes on', {
    tags: ['D23', 'E31', 'E55'],
  }, async () => {
    const app = await start({ dir: tempFolder() })
    const shardActors = ['wal_writer(0)', 'applier(0)', 'lmdb_writer(0)']
    const started: string[] = []
    app.system.events.on('process.started', ({ name }) => {
      if (name && shardActors.includes(name)) started.push(name)
    })

    const outcomes = await load(app, count, (at) => {
      if (at === count / 2) app.system.kill(name)
    })

    expect(started).toEqual(restarted)
    expect(outcomes.size).toBe(count)
    expect(new Set(outcomes.values())).toEqual(new Set(['ok']))
    expect([...outcomes.keys()].filter((key) => key !== `key:${app.store.get(key)}`)).toEqual([])
    await app.store.put('after', 1)
    expect(JSON.stringify(await surveyTree(app))).not.toContain('"down"')
    await app.close()
  })
})

test('large values are whole when the blob store is killed while their bytes are with its thread', async () => {
  const app = await start({ dir: tempFolder() })
  const values = Array.from({ length: 24 }, (_, at) => Buffer.alloc(1024 * 1024, at + 1))
  const puts = values.map((value, at) => app.store.put(`large:${at}`, Buffer.from(value)))
  // The first group is with the thread: its memory was given away.
  await puts[0]
  app.system.kill(nameOf('blob_store(0)'))
  await Promise.all(puts)
  for (const [at, value] of values.entries())
    expect(value.equals((await app.store.load(`large:${at}`)) as Buffer)).toBe(true)
  await app.close()
})

test('an instance that is unreferenced does not hold its process open, and loses nothing', async () => {
  const { execFileSync } = await import('node:child_process')
  const dir = tempFolder()
  const program = `
    import { start } from 'keelson'
    const app = await start({ dir: ${JSON.stringify(dir)} })
    await app.store.put('a', 1)
    app.unref()
  `
  execFileSync(process.execPath, ['--input-type=module', '-e', program], { timeout: 20_000 })

  const app = await start({ dir })
  expect(app.store.get('a')).toBe(1)
  await app.close()
})

test('`await using` closes the instance at the end of its block', async () => {
  const dir = tempFolder()
  let closed: Promise<unknown>
  {
    await using app = await start({ dir })
    await app.store.put('a', 1)
    closed = app.closed
  }
  expect(await closed).toBe('normal')
})
