import { describe, expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { createSystem } from '../../../src/runtime/index.ts'
import {
  type Disk,
  DiskError,
  factsFileName,
  type LogHost,
  SnapshotWork,
  writeDataFolder,
} from '../../../src/storage/index.ts'
import { claimFolder } from '../../../src/supervisors/starting/folder-claim.ts'
import { loadedOptions, startInstance } from '../../../src/supervisors/starting/instance.ts'
import {
  inlineBlobHost,
  inlineLogHost,
  memoryProjections,
  simulatedDisk,
} from '../../../src/testing/index.ts'
import { codeOf } from '../../support/error-codes.ts'
import { machine, started } from '../../support/worlds/simulated-instance.ts'

const clock = virtualClock()
const request = (disk: Disk, shards?: number) => ({
  disk,
  clock,
  dir: '/up/data',
  instance: 'default',
  shards,
})

describe('a claim', () => {
  test('that is given back leaves nothing of a new folder, nor of those above it', () => {
    const disk = simulatedDisk()
    const claim = claimFolder(request(disk, 2))
    expect(disk.list('/up/data')).toEqual(['LOCK', 'shard-0', 'shard-1'])

    claim.undo()
    claim.release()

    expect(disk.list('/')).toEqual([])
  })

  test('that is given back after the logs were made leaves none in part, wherever the power goes', async () => {
    for (let at = 1; at <= 10; at++) {
      const world = machine({ seed: at })
      const { disk, during } = world
      // The description comes after the logs.
      disk.inject({ at: 1, path: factsFileName, operation: 'rename', fault: { kind: 'error' } })
      disk.inject({ at, operation: 'remove', fault: { kind: 'halt' } })
      await expect(world.start({ shards: 2 }), `${at}`).rejects.toThrow()
      disk.halt()
      disk.clearFaults()
      disk.crash()
      const app = await world.start({ shards: 2 })
      await during(app.close())
    }
  })

  test('of a cache locks the folder alone: it has no log that could be opened by itself', () => {
    const disk = simulatedDisk()
    const cache = { cluster: 'shop', engine: 'here' }
    const claim = claimFolder({ ...request(disk, 2), cache })
    expect(disk.list('/up/data')).toEqual(['LOCK', 'shard-0', 'shard-1'])
    expect(disk.list('/up/data/shard-1')).toEqual([])
    expect([0, 1].map(claim.lockOf)).toEqual([undefined, undefined])

    claim.undo()
    claim.release()

    expect(disk.list('/')).toEqual([])
  })

  test.each(['MANIFEST', '0000000000000001-00000001.wal'])(
    'of the folder of a log is CONFLICT, and leaves it as it was: %s',
    (name) => {
      const disk = simulatedDisk()
      disk.makeFolder('/up/data')
      disk.open(`/up/data/${name}`, 'create').close()
      disk.open('/up/data/LOCK', 'create').close()

      expect(codeOf(() => claimFolder(request(disk)))).toBe('CONFLICT')
      expect(disk.list('/up/data').sort()).toEqual([name, 'LOCK'].sort())
    },
  )

  test('of a folder whose name is too long is CONFIG', () => {
    const disk = simulatedDisk()
    const fault = { kind: 'error', code: 'ENAMETOOLONG' } as const
    disk.inject({ at: 1, operation: 'entry', path: '/up/data', fault })

    expect(codeOf(() => claimFolder(request(disk)))).toBe('CONFIG')
    expect(disk.list('/')).toEqual([])
  })

  test('whose LOCK was removed by hand removes nothing: the files may be another instance’s', () => {
    const disk = simulatedDisk()
    const claim = claimFolder(request(disk, 2))
    disk.remove('/up/data/shard-1/wal/LOCK')
    disk.lock('/up/data/shard-1/wal/LOCK', 'theirs')

    claim.undo()
    claim.release()

    expect(disk.list('/up/data/shard-1/wal')).toEqual(['LOCK'])
  })

  test('leaves what others have put above it meanwhile', () => {
    const disk = simulatedDisk()
    const claim = claimFolder(request(disk))
    disk.makeFolder('/up/other')

    claim.undo()
    claim.release()

    expect(disk.list('/up')).toEqual(['other'])
  })

  test('that is refused removes nothing of a folder that another process made and filled meanwhile', () => {
    const disk = simulatedDisk()
    disk.makeFolder('/up/data/shard-0/wal')
    writeDataFolder(disk, '/up/data', {
      instanceId: 'a',
      shards: 1,
      logs: ['0'.repeat(32)],
      created: 1,
    })
    const blind = new Set(['/up', '/up/data', '/up/data/LOCK'])
    const late = new Proxy<Disk>(disk, {
      get: (target, name) =>
        name === 'entry'
          ? (path: string) => (blind.delete(path) ? undefined : target.entry(path))
          : Reflect.get(target, name).bind(target),
    })

    expect(codeOf(() => claimFolder(request(late, 3)))).toBe('CONFIG')

    expect(disk.list('/up/data')).toContain('keelson.json')
    expect(disk.entry('/up/data/shard-0/wal')).toBeDefined()
  })

  test('finds the folder free again, and the same, after it was released', () => {
    const disk = simulatedDisk()
    const claim = claimFolder(request(disk))
    claim.finish(['0'.repeat(32)])
    expect(codeOf(() => claimFolder(request(disk)))).toBe('LOCKED_DIR')
    claim.release()

    const again = claimFolder(request(disk))
    expect([again.shards, again.logs]).toEqual([1, ['0'.repeat(32)]])
  })
})

test('a LOCK of a log that is replaced before the first look at it is not taken for ours', async () => {
  const disk = simulatedDisk()
  const lock = '/up/data/shard-0/wal/LOCK'
  const host = () => {
    disk.remove(lock)
    disk.lock(lock, 'theirs')
    return inlineLogHost({ disk, clock })
  }
  const projections = memoryProjections()
  const starting = startInstance(
    await loadedOptions({ dir: '/up/data', system: createSystem({ clock }) }),
    {
      disk,
      clock,
      makeHost: host,
      projections,
      makeBlobHost: () => inlineBlobHost({ disk, clock }),
      claimBackup: () => Promise.reject(new Error('not here')),
      copyShard: () => Promise.reject(new Error('not here')),
      makeScanner: () => () => Promise.reject(new Error('not here')),
      makeSnapshotHost: () => new SnapshotWork({ disk, clock, projections }),
    },
  )
  const refused = expect(starting).rejects.toMatchObject({
    code: 'SHARD_DOWN',
    details: { reason: 'poisoned' },
  })
  await clock.advance(10)

  await refused
  expect(disk.list('/up/data/shard-0/wal')).toEqual(['LOCK'])
})

test('the host that makes the log of a new shard opens it too: one thread for each', async () => {
  const hosts: LogHost[] = []
  const aroundLog = (host: LogHost): LogHost => {
    hosts.push(host)
    return host
  }
  const { during, app } = await started({ shards: 3 }, { aroundLog })

  expect(hosts).toHaveLength(3)
  await during(Promise.all(['a', 'b', 'c', 'd'].map((key) => app.store.put(key, key))))
  await during(app.close())
})

test('a close that cannot look at its folder releases its locks', async () => {
  const { during, app, disk } = await started()
  const { identity } = disk
  disk.identity = () => {
    throw new DiskError('EIO', 'stat', 'LOCK')
  }
  await during(app.close())
  disk.identity = identity

  disk.lock(`${app.dir ?? '/data'}/LOCK`, 'another process').release()
})
