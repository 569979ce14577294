/** The data folder of a member is a cache of the logs in the engine: when it is filled again, and when it is a proof of a loss. */
import { describe, expect, test } from 'vitest'
import { type App, KeelsonError } from '../../../src/index.ts'
import { readDataFolder, readFloor } from '../../../src/storage/index.ts'
import { MemberProcess } from '../../support/worlds/member-process.ts'
import { leaseMs, Members } from '../../support/worlds/members.ts'

/** A cluster whose member `a` wrote k1 to k3, and has closed. */
const world = async () => {
  const members = new Members()
  const app = await members.start('a')
  for (const at of [1, 2, 3]) await members.during(app.store.put(`k${at}`, at))
  await members.during(app.close())
  const { disk, projections } = members.machine('a')
  const facts = () => {
    const reading = readDataFolder(disk, '/data')
    return reading.state === 'sound' ? reading.facts : undefined
  }
  const started = (member = 'a'): Promise<App> => members.start(member)
  const codeOf = async (work: Promise<unknown>): Promise<unknown> =>
    work.then(
      () => 'started',
      (error: unknown) => (error instanceof KeelsonError ? error.code : error),
    )
  return { members, disk, projections, facts, started, codeOf }
}

const noWitness = { sends: () => 0, acknowledged: () => undefined, names: () => undefined }

const lmdb = '/data/shard-0/lmdb'

test('a cache says which cluster and engine have its logs', async () => {
  const { facts } = await world()

  expect(facts()?.cache).toEqual({ cluster: 'c', engine: 'simulated' })
})

describe('a folder of another kind is CONFIG', () => {
  test('a cache without the option cluster, and with the name of another one', async () => {
    const { members, codeOf } = await world()
    const local = members.machine('a').start({ dir: '/data' })
    const other = members.start('a', { cluster: { name: 'other' } as never })

    expect([await codeOf(local), await codeOf(other)]).toEqual(['CONFIG', 'CONFIG'])
  })

  test('a folder with logs of its own with cluster, also without its keelson.json', async () => {
    const { members, started, codeOf } = await world()
    const machine = members.machine('b')
    const app = await machine.start({ dir: '/data' })
    await machine.during(app.close())

    expect(await codeOf(started('b'))).toBe('CONFIG')
    machine.disk.remove('/data/keelson.json')
    expect(await codeOf(started('b'))).toBe('CONFIG')
  })
})

describe('an engine with another log than the cache was filled from', () => {
  test('fills the cache again', async () => {
    const { members, disk, facts, started } = await world()
    const before = facts()?.logs
    members.engine = members.newEngine()
    const other = await started('b')
    await members.during(other.store.put('k1', 'other'))
    await members.during(other.close())
    disk.makeFolder('/data/shard-0/blobs/old')
    disk.makeFolder('/data/shard-0/snapshot/old')

    const app = await started()

    expect([app.store.get('k1'), app.store.get('k2')]).toEqual(['other', undefined])
    expect(facts()?.logs).not.toEqual(before)
    expect(disk.entry('/data/shard-0/blobs/old')).toBeUndefined()
    expect(disk.entry('/data/shard-0/snapshot/old')).toBeUndefined()
    await members.during(app.close())
    expect((await started()).store.get('k1')).toBe('other')
  })

  test('and no log at all is CORRUPT: nothing says that this is meant', async () => {
    const { members, started, codeOf } = await world()
    members.engine = members.newEngine()

    expect(await codeOf(started())).toBe('CORRUPT')
  })
})

test('a cache without its keelson.json is filled again, also with what is left of it', async () => {
  const { disk, started } = await world()
  disk.remove('/data/keelson.json')
  disk.makeFolder('/data/shard-0/blobs/old')

  expect((await started()).store.get('k3')).toBe(3)
  expect(disk.entry('/data/shard-0/blobs/old')).toBeUndefined()
})

describe('an engine that lost what it acknowledged is CORRUPT for a member that knows it', () => {
  for (const missing of ['', ' and the projection', ' and keelson.json'])
    test(`when the tail of the log${missing} was deleted`, async () => {
      const { members, disk, projections, started, codeOf } = await world()
      const { end } = members.engine.kept('c', '0').head
      // The close of the member left a mark behind its last frame.
      members.engine.loseTail('c', '0', end.lsn - 2)
      if (missing.includes('projection')) projections.remove(lmdb)
      if (missing.includes('json')) disk.remove('/data/keelson.json')

      expect(await codeOf(started())).toBe('CORRUPT')
    })

  test('when all that it lost is the claim of the last owner', async () => {
    const { members, started, codeOf } = await world()
    const { end } = members.engine.kept('c', '0').head
    await members.during((await started()).close())
    members.engine.loseTail('c', '0', end.lsn)

    expect(await codeOf(started())).toBe('CORRUPT')
  })

  test('when an older dump was put back', async () => {
    const { members, started, codeOf } = await world()
    const log = members.engine.kept('c', '0')
    const dump = { head: log.head, groups: [...log.groups] }
    const app = await started()
    await members.during(app.store.put('k1', 'newer'))
    await members.during(app.close())

    Object.assign(log, dump)

    expect(await codeOf(started())).toBe('CORRUPT')
  })

  for (const [what, writes] of [
    ['and that is all', 0],
    ['and in their place is what the next owner wrote', 3],
  ] as const)
    test(`when an older dump was put back 0.1 s after the last write of an owner that was killed, ${what}`, async () => {
      const { members, started, codeOf } = await world()
      const machine = members.machine('a')
      const owner = new MemberProcess({
        ...{ name: 'a', machine, engine: members.engine, base: members.clock, leaseMs },
        ...{ rate: 1, aheadMs: 0, seed: 1, witness: noWitness },
      })
      const app = await members.during(owner.start({}))
      await members.during(app.store.put('k1', 'in the dump'))
      const dump = members.engine.copy('c')
      for (const at of [1, 2, 3]) await members.during(app.store.put('k1', at))
      await members.clock.advance(100)
      owner.die()
      machine.disk.killProcess()
      members.engine.promote('c', dump)
      for (let at = 0; at < writes; at++) {
        const next = await started('b')
        await members.during(next.store.put('k1', `other ${at}`))
        await members.during(next.close())
      }

      expect(await codeOf(started())).toBe('CORRUPT')
    })

  for (const [what, writes] of [
    ['the claims of the next owners', 0],
    ['what the next owner wrote', 8],
  ] as const)
    test(`when a promotion lost commits, and in their place is ${what}`, {
      tags: ['slow'],
    }, async () => {
      const { members, disk, started, codeOf } = await world()
      const position = readFloor(disk, '/data/shard-0/floor.json')?.lsn ?? 0
      members.engine.loseTail('c', '0', position - 1)
      const log = members.engine.kept('c', '0')
      for (let at = 0; at < writes || log.head.end.lsn <= position; at++) {
        const next = await started('b')
        if (at < writes) await members.during(next.store.put('k1', at))
        await members.during(next.close())
      }

      expect(log.head.end.lsn).toBeGreaterThan(position)
      expect(await codeOf(started())).toBe('CORRUPT')
    })
})

test('a start that fetches a snapshot from an engine that is away ends when it is told to', async () => {
  const members = new Members()
  const first = await members.start('a')
  await members.during(first.store.put('k', 'v'))
  await members.during(first.control.snapshot(0))
  await members.during(first.close())
  const open = async ({ cluster }: { cluster: string }) => {
    const session = members.engine.connect(cluster)
    const read = (): never => {
      throw new KeelsonError('UNKNOWN_OUTCOME', 'no connection')
    }
    return Object.defineProperty(session, 'files', { value: { ...session.files, read } })
  }
  const stop = new AbortController()
  const cluster = { engine: { description: 'simulated', open }, signal: stop.signal } as never
  const start = members.begin('b', { cluster }).catch((error: unknown) => error)
  await members.clock.advance(5_000)

  stop.abort()

  expect(await members.during(start)).toMatchObject({ code: 'CLOSED' })
})
