/** Backups of a running instance, on a simulated disk. */
import { expect, test } from 'vitest'
import { blobSegmentPath } from '../../../src/storage/blobs/blob-folder.ts'
import { shardFolder } from '../../../src/storage/ports/folder-layout.ts'
import type { LogHost } from '../../../src/storage/ports/log-host.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { restore } from '../../support/worlds/restored.ts'
import { codeOf, failNextSync, type Machine } from '../../support/worlds/simulated-instance.ts'
import {
  options,
  overwrite,
  startedWithSnapshots,
  textOf,
} from '../../support/worlds/snapshot-instance.ts'

const target = '/backup'

/** Every key with its value, by the store's own range. */
const rowsOf = async (world: Machine, app: App): Promise<Record<string, unknown>> => {
  const keys = Array.from({ length: 4 }, (_, at) => `k${at}`).concat('blob', 'more')
  const rows: Record<string, unknown> = {}
  for (const key of keys) rows[key] = await world.during(Promise.resolve(app.store.get(key)))
  return rows
}

/** The rows of a copy in `dir`, whose store is opened and closed. */
const rowsIn = async (world: Machine, dir: string): Promise<Record<string, unknown>> => {
  const app = await world.start({ ...options, dir, instance: dir.slice(1), app: false })
  const rows = await rowsOf(world, app)
  await world.during(app.close())
  return rows
}

/** A key of a shard. */
const keyIn = (app: App, shard: number): string =>
  [...'abcdefgh'].find((key) => app.store.shardOf(key) === shard) ?? ''

const large = 'L'.repeat(300 * 1024)

test('a backup restores to what the instance had, with its snapshot, its log and its blobs', {
  tags: ['slow'],
}, async () => {
  const { world, app } = await startedWithSnapshots()
  await world.during(app.store.put('blob', large))
  await overwrite(world, app, 20)
  await world.during(app.control.snapshot(0))
  await overwrite(world, app, 7, 20)
  const expected = await rowsOf(world, app)

  const report = await world.during(app.backup(target))

  expect(report.shards).toMatchObject([{ shard: 0, lsn: app.shards[0]?.appliedLsn, missing: [] }])
  restore(world, target, '/restored')
  expect(await rowsIn(world, '/restored')).toEqual(expected)
})

test('a second backup writes only what is new, and repairs what the first one lost', async () => {
  const { world, app } = await startedWithSnapshots()
  await world.during(app.store.put('blob', large))
  await overwrite(world, app, 40)
  await world.during(app.backup(target))

  const idle = await world.during(app.backup(target))
  expect(idle.shards[0]?.copiedBytes).toBe(0)

  await overwrite(world, app, 1, 40)
  const little = await world.during(app.backup(target))
  expect(little.shards[0]?.copiedBytes).toBeLessThanOrEqual(128 * 1024)

  const blobs = blobSegmentPath(`${target}/shard-0/blobs`, 0)
  const file = world.disk.open(blobs, 'write')
  file.write(Uint8Array.of(1, 2, 3), 10_000)
  file.close()
  const mended = await world.during(app.backup(target))
  expect(mended.shards[0]?.copiedBytes).toBe(300 * 1024)
  const expected = await rowsOf(world, app)
  restore(world, target, '/restored')
  expect(await rowsIn(world, '/restored')).toEqual(expected)
})

test('a backup taken under load restores to exactly the state at its LSN', {
  tags: ['slow'],
}, async () => {
  const { world, app } = await startedWithSnapshots({ wal: { maxFileSize: 128 * 1024 } })
  const states = new Map<number, string>()
  let isOver = false
  const write = async (): Promise<void> => {
    for (let at = 0; !isOver; at++) {
      await app.store.put('k0', `${at}:`.padEnd(2_000, 'x'))
      states.set(app.shards[0]?.appliedLsn ?? 0, `${at}:`)
    }
  }
  const writing = write()
  for (let round = 0; round < 5; round++) {
    await world.during(new Promise<void>((resolve) => world.clock.after(37, resolve)))
    if (round % 2 === 1) await world.during(app.control.snapshot(0))
    const { shards } = await world.during(app.backup(target))
    const lsn = shards[0]?.lsn ?? 0
    restore(world, target, `/restored-${round}`)
    const rows = await rowsIn(world, `/restored-${round}`)
    expect(String(rows.k0).split('x')[0]).toBe(lastUpTo(states, lsn))
  }
  isOver = true
  await world.during(writing)
})

/** The state at an LSN: that of the last put at or below it. */
const lastUpTo = (states: ReadonlyMap<number, string>, lsn: number): string | undefined =>
  [...states].filter(([at]) => at <= lsn).at(-1)?.[1]

test('a backup restores to any LSN from its snapshot on, and refuses an earlier or a later one', async () => {
  const { world, app } = await startedWithSnapshots()
  await overwrite(world, app, 40)
  await world.during(app.control.snapshot(0))
  const from = app.shards[0]?.snapshots.named.at(-1)?.lsn ?? 0
  const states: [number, unknown][] = []
  for (let at = 0; at < 5; at++) {
    await world.during(app.store.put('k0', at))
    states.push([app.shards[0]?.appliedLsn ?? 0, at])
  }
  await world.during(app.backup(target))

  for (const [lsn, value] of states) {
    restore(world, target, `/at-${lsn}`, [lsn])
    expect(await rowsIn(world, `/at-${lsn}`)).toMatchObject({ k0: value })
  }
  expect(() => restore(world, target, '/late', [9_999])).toThrow('reaches')
  expect(() => restore(world, target, '/early', [from - 1])).toThrow('reaches')
})

test('a restored log has another id than its origin, and neither opens in the place of the other', async () => {
  const { world, app } = await startedWithSnapshots()
  await overwrite(world, app, 4)
  await world.during(app.backup(target))
  await world.during(app.close())
  restore(world, target, '/restored')

  const put = (from: string, to: string): void => {
    for (const name of world.disk.list(from)) {
      world.disk.remove(`${to}/${name}`)
      world.disk.rename(`${from}/${name}`, `${to}/${name}`)
    }
  }
  put('/restored/shard-0/wal', '/data/shard-0/wal')
  expect(await codeOf(world.start(options))).toBe('CORRUPT')
})

test('a backup is not a data folder: start refuses it as CONFLICT, and leaves it as it is', async () => {
  const { world, app } = await startedWithSnapshots()
  await overwrite(world, app, 1)
  await world.during(app.backup(target))

  const before = world.disk.list(target)

  expect(await codeOf(world.start({ ...options, dir: target, instance: 'b' }))).toBe('CONFLICT')
  expect(world.disk.list(target)).toEqual(before)
})

test('a backup into that of another instance is CONFLICT, which says what to do', async () => {
  const { world, app } = await startedWithSnapshots()
  await world.during(app.backup(target))
  const other = await world.start({ ...options, dir: '/restored', instance: 'b' })

  const refused = await world.during(other.backup(target).catch(String))
  expect(refused).toContain(`move that aside, as with mv ${target} ${target}.before`)
})

test('a folder with something else is refused, and so is one in the data folder', async () => {
  const { world, app } = await startedWithSnapshots()
  world.disk.makeFolder('/else')
  world.disk.open('/else/file', 'create').close()

  expect(await codeOf(app.backup('/else'))).toBe('CONFLICT')
  expect(await codeOf(app.backup('/data/backup'))).toBe('INVALID_ARGUMENT')
  expect(await codeOf(app.backup('/'))).toBe('INVALID_ARGUMENT')
  expect(world.disk.list('/else')).toContain('file')
})

test('a backup that a shard refuses because it is down leaves the logs of the others free', async () => {
  const { world, app } = await startedWithSnapshots({ shards: 2, allowDown: true })
  failNextSync(world.disk, 1)
  expect(await codeOf(world.during(app.store.put(keyIn(app, 1), 1)))).toBe('UNKNOWN_OUTCOME')

  expect(await codeOf(world.during(app.backup(target)))).toBe('SHARD_DOWN')

  for (let at = 0; at < 80; at++) await world.during(app.store.put(keyIn(app, 0), textOf(at)))
  await world.during(app.control.snapshot(0))
  const { log } = await world.during(app.wal(0).describe())
  expect(log?.segments[0]?.baseLsn).toBeGreaterThan(1)
})

test('a backup names the shard that is down, with and without a pause of the writes', async () => {
  const { world, app } = await startedWithSnapshots({ shards: 2 })
  await world.during(app.close())
  const fault = { kind: 'error', code: 'EIO' } as const
  world.disk.inject({ at: 1, operation: 'read', path: 'shard-1/wal', times: 100, fault })
  const next = await world.start({ ...options, shards: 2, allowDown: true })

  for (const consistent of [false, true])
    await expect(world.during(next.backup(target, { consistent }))).rejects.toMatchObject({
      code: 'SHARD_DOWN',
      details: { shard: 1, state: 'down' },
    })
  await world.during(next.store.put(keyIn(next, 0), 1))
})

test('a backup finds a snapshot that has rotted, and the next one has a new snapshot', async () => {
  const { world, app } = await startedWithSnapshots()
  for (let at = 0; at < 80; at++) await world.during(app.store.put(`k${at}`, textOf(at)))
  await world.during(app.control.snapshot(0))
  const { snapshots: folder } = shardFolder('/data', 0)
  const [name = ''] = world.disk.list(folder)
  const file = world.disk.open(`${folder}/${name}`, 'write')
  file.write(Uint8Array.of(1, 2, 3), 200)
  file.close()

  expect(await codeOf(world.during(app.backup(target)))).toBe('CORRUPT')

  await world.during(app.control.snapshot(0))
  await world.during(app.backup(target))
  expect(app.health().shards[0]?.snapshot.failure).toBeUndefined()
})

test('a copy that is damaged says nothing of its snapshot', async () => {
  const { world, app } = await startedWithSnapshots()
  await world.during(app.store.put('k', 1))
  await world.during(app.control.snapshot(0))
  // Another program removes the copy before it is read.
  const fault = { kind: 'error', code: 'ENOENT' } as const
  world.disk.inject({ at: 1, operation: 'open', path: '.snap.tmp', fault })

  expect(await codeOf(world.during(app.backup(target)))).toBe('CORRUPT')
  expect(app.health().shards[0]?.snapshot.failure).toBeUndefined()
  await world.during(app.backup(target))
  await world.during(app.close())
})

test('a backup leaves out a kept snapshot that it found damaged', async () => {
  const retention = { log: '36500d' }
  const { world, app } = await startedWithSnapshots({ retention })
  const { snapshots: folder } = shardFolder('/data', 0)
  for (const at of [1, 2]) {
    await world.during(app.store.put('k', at))
    await world.during(app.control.snapshot(0))
  }
  const [older = '', newer = ''] = world.disk.list(folder)
  world.disk.poke(`${folder}/${older}`, 100, Uint8Array.of(1, 2, 3))

  expect(await codeOf(world.during(app.backup(target)))).toBe('CORRUPT')
  await world.during(app.backup(target))
  // Another one is made by itself, and the log names the damaged one no longer.
  await world.clock.advance(5_000)
  expect(world.disk.list(folder)).toEqual([newer])
  await world.during(app.backup('/other'))
  await world.during(app.close())
})

test('a backup is made although its onProgress throws; options that are none are refused', async () => {
  const { world, app } = await startedWithSnapshots()
  await world.during(app.store.put('k', 1))
  let calls = 0
  const onProgress = (): never => {
    calls++
    throw new Error('no display')
  }
  await world.during(app.backup(target, { onProgress }))
  expect(calls).toBeGreaterThan(0)
  await world.during(app.backup(target, { onProgress: async () => onProgress() }))
  for (const odd of [{ onProgress: 'loud' }, { consistant: true }, null])
    expect(await codeOf(world.during(app.backup('/other', odd as never)))).toBe('INVALID_ARGUMENT')
  await world.during(app.close())
})

test('a backup with a damaged blob in a row is refused, and the one before it still restores', async () => {
  const { world, app } = await startedWithSnapshots()
  await world.during(app.store.put('blob', large))
  await world.during(app.backup(target))
  const expected = await rowsOf(world, app)
  await world.during(app.store.put('more', large.replaceAll('L', 'M')))
  await world.during(app.control.snapshot(0))
  const file = world.disk.open(blobSegmentPath('/data/shard-0/blobs', 0), 'write')
  file.write(Uint8Array.of(1, 2, 3), 400_000)
  file.close()

  expect(await codeOf(world.during(app.backup(target)))).toBe('CORRUPT')
  restore(world, target, '/restored')
  expect(await rowsIn(world, '/restored')).toEqual(expected)
})

/** Appends an entry, and saves a state that has every entry up to it. */
const saveState = async (app: App, id: string): Promise<void> => {
  const { lsn } = await app.journal.append({ id, type: 'order' })
  await app.journal.saveState(lsn, id)
}

/** The saved state in the copy, and the entries behind it. */
const replayedIn = async (world: Machine, dir: string): Promise<readonly unknown[]> => {
  const app = await world.start({ ...options, dir, instance: dir.slice(1), app: false })
  const state = await world.during(app.journal.loadState())
  const behind: string[] = []
  const from = (state?.lsn ?? -1) + 1
  await world.during(app.journal.replay({ from, handler: ({ id }) => void behind.push(id) }))
  await world.during(app.close())
  return [state?.value, behind]
}

test('a backup has the states saved before its cut, although two are saved while it is made', async () => {
  let whileMade: (() => Promise<void>) | undefined
  let isPinned = false
  // A backup pins the log, and asks for its state again: as of this answer it copies the shard.
  const aroundLog = (host: LogHost): LogHost => ({
    run: async (kind, request) => {
      const answer = await host.run(kind, request)
      if (kind === 'pin') isPinned = true
      const saves = kind === 'state' && isPinned ? whileMade : undefined
      if (saves) whileMade = undefined
      await saves?.()
      return answer
    },
    end: () => host.end(),
  })
  const { world, app } = await startedWithSnapshots({}, { aroundLog })
  await overwrite(world, app, 40)
  for (const id of ['a', 'b']) await world.during(saveState(app, id))
  await world.during(app.journal.append({ id: 'c', type: 'order' }))
  await overwrite(world, app, 40)
  await world.during(app.control.snapshot(0))
  const { log } = await world.during(app.wal(0).describe())
  expect(log?.segments[0]?.baseLsn).toBeGreaterThan(1)
  whileMade = async () => {
    for (const id of ['d', 'e', 'f']) await saveState(app, id)
    await app.journal.loadState()
  }

  await world.during(app.backup(target))

  restore(world, target, '/restored')
  expect(await replayedIn(world, '/restored')).toEqual(['b', ['c']])
  await world.during(saveState(app, 'g'))
  expect(app.health().shards[0]?.journal.states).toHaveLength(2)
})

test('a backup that has lost a state which it lists is CORRUPT', async () => {
  const { world, app } = await startedWithSnapshots()
  for (const id of ['a', 'b']) await world.during(saveState(app, id))
  await world.during(app.backup(target))
  const dir = `${target}/shard-0/snapshot`
  const [state = ''] = world.disk.list(dir).filter((name) => name.endsWith('.state'))
  world.disk.remove(`${dir}/${state}`)

  expect(() => restore(world, target, '/restored')).toThrow(
    expect.objectContaining({ code: 'CORRUPT' }),
  )
})

test('a backup that fails leaves the saved states of the one before it', async () => {
  const { world, app } = await startedWithSnapshots()
  await world.during(app.store.put('blob', large))
  for (const id of ['a', 'b']) await world.during(saveState(app, id))
  await world.during(app.backup(target))
  for (const id of ['c', 'd']) await world.during(saveState(app, id))
  await world.during(app.store.put('more', large.replaceAll('L', 'M')))
  await world.during(app.control.snapshot(0))
  world.disk.poke(blobSegmentPath('/data/shard-0/blobs', 0), 400_000, Uint8Array.of(1, 2, 3))

  expect(await codeOf(world.during(app.backup(target)))).toBe('CORRUPT')

  restore(world, target, '/restored')
  expect(await replayedIn(world, '/restored')).toEqual(['b', []])
})

test('consistent: a backup of several shards has a write of one shard only with those before it', async () => {
  const { world, app } = await startedWithSnapshots({ shards: 2 })
  const [first, second] = [keyIn(app, 0), keyIn(app, 1)]
  let isOver = false
  const write = async (): Promise<void> => {
    for (let at = 1; !isOver; at++) {
      await app.store.put(first, at)
      await app.store.put(second, at)
    }
  }
  const writing = write()
  await world.during(new Promise<void>((resolve) => world.clock.after(50, resolve)))
  await world.during(app.backup(target, { consistent: true }))
  isOver = true
  await world.during(writing)
  restore(world, target, '/restored')
  const again = await world.start({ ...options, dir: '/restored', instance: 'r', app: false })
  const [one, other] = [again.store.get(first), again.store.get(second)] as number[]
  expect((one ?? 0) - (other ?? 0)).toBeGreaterThanOrEqual(0)
  expect((one ?? 0) - (other ?? 0)).toBeLessThanOrEqual(1)
})
