/** Shards that are given from one member of a folder to another while both run. */
import { describe, expect, test, vi } from 'vitest'
import {
  call,
  type DurableServer,
  entity,
  name,
  noReply,
  reply,
  supervisor,
  worker,
} from '../../../src/index.ts'
import { createSystem } from '../../../src/runtime/index.ts'
import { DiskError } from '../../../src/storage/index.ts'
import { innerParts } from '../../../src/supervisors/app/app-context.ts'
import type { App, StartOptions } from '../../../src/supervisors/index.ts'
import { silentLogger } from '../../../src/testing/index.ts'
import { lacks } from '../../support/lacks.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'

type Messages = { calls: { add: (label: string) => number; read: () => readonly string[] } }

/** It has the labels of the calls that took effect, in their order. */
const account: DurableServer<Messages, readonly string[]> = {
  init: () => [],
  calls: {
    add: (labels, label) => reply(labels.length + 1, [...labels, label]),
    read: (labels) => reply(labels, labels),
  },
}

const app = () => ({ app: supervisor('app', {}, [entity('account', account)]) })
const ids = Array.from({ length: 8 }, (_, at) => `n${at}`)
const openAt = (member: App): readonly number[] =>
  member.shards.filter(({ phase }) => phase.kind === 'open').map(({ index }) => index)

/** Members a and b that have all four shards, and then c, which begins later. */
const joined = async (given: (world: FolderMembers) => Partial<StartOptions> = app) => {
  const world = new FolderMembers(['a', 'b', 'c'], {}, { arrivalMs: 500 })
  const [a, b] = (await world.start(['a', 'b'], () => given(world))) as [App, App]
  await world.clock.advance(3_000)
  return { world, a, b, during: world.during.bind(world) }
}

test('a member that begins later gets its shards, and no call and no write fails meanwhile', async () => {
  const { world, a, b, during } = await joined()
  expect([...openAt(a), ...openAt(b)].sort()).toEqual([0, 1, 2, 3])

  const made: Promise<unknown>[] = []
  let isOver = false
  const load = (async () => {
    for (let round = 0; !isOver; round++) {
      for (const [at, id] of ids.entries()) {
        const from = [a, b][at % 2] as App
        const ref = from.entity<Messages>('account').ref(id)
        made.push(call(ref, 'add', `${round}`, { timeoutMs: 20_000 }))
        made.push(from.store.put(`${id}-${round}`, round))
      }
      await new Promise<void>((resolve) => world.clock.after(100, resolve))
    }
    return made.length
  })()
  const [c] = (await world.start(['c'], app)) as [App]
  await world.clock.advance(6_000)
  isOver = true
  const count = await during(load)
  const outcomes = await during(Promise.allSettled(made))
  expect(outcomes.filter(({ status }) => status === 'rejected')).toEqual([])
  expect(count).toBeGreaterThan(500)

  expect(openAt(c).length).toBeGreaterThan(0)
  const all = [a, b, c].flatMap(openAt)
  expect([...all].sort()).toEqual([0, 1, 2, 3])
  // Each call took effect once, in the order in which its member made them.
  for (const id of ids) {
    const labels = await during(call(c.entity<Messages>('account').ref(id), 'read', undefined))
    expect(labels).toEqual(Array.from(labels, (_, at) => `${at}`))
    expect(await during(c.store.load(`${id}-${labels.length - 1}`))).toBe(labels.length - 1)
  }
})

test('a lock that cannot be taken keeps no shard closed that was taken before', async () => {
  const world = new FolderMembers(['a', 'b'])
  const [a, b] = (await world.start(['a', 'b'], app)) as [App, App]
  expect(openAt(b).length).toBeGreaterThan(1)
  const { lock } = world.locks
  let tries = 0
  vi.spyOn(world.locks, 'lock').mockImplementation((path, holder) => {
    if (++tries === 2) throw new DiskError('EMFILE', 'lock', path)
    return lock(path, holder)
  })

  await world.kill('b')
  await world.clock.advance(3_000)

  expect(tries).toBeGreaterThan(2)
  expect(openAt(a)).toEqual([0, 1, 2, 3])
})

test('notes that cannot be read keep no shard closed that was taken', async () => {
  const world = new FolderMembers(['a', 'b'])
  const [a] = (await world.start(['a', 'b'], app)) as [App, App]
  const { list } = world.machine.disk
  const listed = vi.spyOn(world.machine.disk, 'list').mockImplementation((path) => {
    if (path.endsWith('at-work')) throw new DiskError('EIO', 'list', path)
    return list.call(world.machine.disk, path)
  })

  await world.kill('b')
  await world.clock.advance(3_000)

  expect(listed).toHaveBeenCalledWith('/data/at-work')
  expect(openAt(a)).toEqual([0, 1, 2, 3])
})

test('a read waits while its shard comes here from a member that closes', async () => {
  const { world, a, b, during } = await joined()
  expect(openAt(b).length).toBeGreaterThan(0)
  for (const id of ids) await during(a.store.put(id, `of ${id}`))

  const found: Promise<unknown>[] = []
  let isOver = false
  const load = (async () => {
    for (; !isOver; ) {
      for (const id of ids) found.push(a.store.load(id).then((value) => value === `of ${id}`))
      found.push(a.store.page({ limit: 1_000 }).then(({ entries }) => entries.length > 0))
      await new Promise<void>((resolve) => world.clock.after(1, resolve))
    }
  })()
  await world.clock.advance(5)
  await during(b.close())
  await world.clock.advance(50)
  isOver = true
  await during(load)
  const outcomes = await during(Promise.allSettled(found))
  expect(openAt(a)).toEqual([0, 1, 2, 3])
  expect(outcomes.filter(({ status }) => status === 'rejected')).toEqual([])
  expect(outcomes.every((each) => Object(each).value)).toBe(true)
})

type Asking = { calls: { ask: (other: string) => number } }

/** It waits, and then needs an actor and a key of its own shard. */
const asking: DurableServer<Asking, number> = {
  init: () => 0,
  calls: {
    ask: async (count, other, context) => {
      const { app } = context as unknown as { app: App }
      await new Promise<void>((resolve) => context.system.clock.after(40, resolve))
      await call(app.entity<Messages>('account').ref(other), 'add', `${count}`)
      await app.store.put(`{account/${other}}`, count)
      return reply(count + 1, count + 1)
    },
  },
}

test('a handler at work gets what it needs of its own shard, which leaves', async () => {
  const tree = () => ({
    app: supervisor('app', {}, [entity('account', account), entity('asking', asking)]),
  })
  const world = new FolderMembers(['a', 'b', 'c'], {}, { arrivalMs: 500 })
  const [a, b] = (await world.start(['a', 'b'], tree)) as [App, App]
  await world.clock.advance(3_000)
  const shardOfEntity = (entity: string): number => a.store.shardOf(`{${entity}}`)
  const other = (id: string): string =>
    ids.find((each) => shardOfEntity(`account/${each}`) === shardOfEntity(`asking/${id}`)) ?? 'n0'
  const made: Promise<unknown>[] = []
  let longestMs = 0
  const load = (async () => {
    for (let round = 0; round < 60; round++) {
      for (const member of [a, b])
        for (const id of ids) {
          const began = world.clock.monotonic()
          const ref = member.entity<Asking>('asking').ref(id)
          const asked = call(ref, 'ask', other(id), { timeoutMs: 30_000 })
          made.push(asked)
          const note = (): void => {
            longestMs = Math.max(longestMs, world.clock.monotonic() - began)
          }
          asked.then(note, note)
        }
      await new Promise<void>((resolve) => world.clock.after(100, resolve))
    }
  })()
  await world.start(['c'], tree)
  await world.during(load)
  const outcomes = await world.during(Promise.allSettled(made))
  expect(outcomes.filter(({ status }) => status === 'rejected')).toEqual([])
  expect(longestMs).toBeLessThan(3_000)
})

test('an entity that is blocked at one member is none at the next owner, nor when its shard is back', async () => {
  let isBroken = true
  const breaking: DurableServer<Messages & { continues: { work: () => void } }, readonly string[]> =
    {
      init: (id) => {
        if (isBroken && id.startsWith('blocked')) throw new Error('broken')
        return []
      },
      calls: {
        read: (labels) => reply(labels, labels),
        add: (labels, label) =>
          reply(labels.length + 1, [...labels, label], { continue: ['work'] }),
      },
      continues: {
        work: (labels) => {
          if (isBroken) throw new Error('the bank is away')
          return noReply(labels)
        },
      },
    }
  const broken = () => ({ app: supervisor('app', {}, [entity('account', breaking as never)]) })
  const world = new FolderMembers(['a', 'b'])
  const [a] = (await world.start(['a'], broken)) as [App]
  const during = world.during.bind(world)
  const [blocked, failing] = [ids.map((id) => `blocked-${id}`), ids.map((id) => `failing-${id}`)]
  const isOpen = (id: string): boolean => a.entities.shardOf(`account/${id}`).phase.kind === 'open'
  const add = (app: App, id: string): Promise<unknown> =>
    during(call(app.entity<Messages>('account').ref(id), 'add', '').catch(({ code }) => code))
  const counts = (app: App): readonly number[] => {
    const { actors } = app.health()
    return [actors.blocked.count, actors.failing.count]
  }
  for (const id of failing) await add(a, id)
  for (let tries = 1; tries <= 5; tries++) for (const id of blocked) await add(a, id)
  expect(counts(a)).toEqual([8, 8])

  const [b] = (await world.start(['b'], broken)) as [App]
  await world.clock.advance(6_000)
  expect(openAt(b).length).toBeGreaterThan(0)
  expect(openAt(a).length).toBeGreaterThan(0)
  isBroken = false
  const stayed = blocked.filter(isOpen)
  expect(counts(a)).toEqual([stayed.length, failing.filter(isOpen).length])

  for (const id of blocked.filter((each) => !isOpen(each))) expect(await add(b, id)).toBe(1)
  await during(b.close())
  await world.clock.advance(6_000)
  expect(openAt(a)).toEqual([0, 1, 2, 3])
  for (const id of blocked) expect(await add(a, id)).toBe(stayed.includes(id) ? 'BLOCKED' : 2)
})

/** A key of a shard. */
const keyIn = (member: App, shard: number): string =>
  Array.from({ length: 100 }, (_, at) => `k${at}`).find(
    (key) => member.store.shardOf(key) === shard,
  ) as string

/** All shards of a member are down. */
const downAt = (member: App): void => {
  for (const shard of member.shards) shard.goDown(new DiskError('EIO', 'read', 'a row'))
}

describe.skipIf(lacks(FolderMembers.noLogs))('the time of a shard', () => {
  const minute = 60_000
  /** Members whose clock can be set, and a value of b that ends after a minute. */
  const clocked = async () => {
    const set = { by: 0 }
    const members = await joined((world) => {
      const clock = { ...world.clock, now: () => world.clock.now() + set.by }
      return { system: createSystem({ clock, logger: silentLogger }) }
    })
    const { world, a, b, during } = members
    const key = keyIn(b, openAt(b)[0] as number)
    const put = () => during(b.store.put(key, 1, { ttlMs: minute }))
    const setBy = async (ms: number) => {
      set.by = ms
      await world.clock.advance(2_000)
      for (const each of [a, b]) each.health()
    }
    const ahead = () =>
      a.health().shards.flatMap((each) => (each.phase === 'open' ? [each.clockAheadMs] : []))
    return { ...members, put, setBy, ahead, load: () => during(a.store.load(key)) }
  }

  test('that made up for a clock set back and accepted does not leap at the next owner', async () => {
    const { world, a, b, during, put, setBy, ahead, load } = await clocked()
    await setBy(-2 * minute)
    await during(a.control.acceptClock())
    await world.clock.advance(5 * minute)
    await put()
    await during(b.close())

    expect(await load()).toBe(1)
    expect(ahead()).toEqual([0, 0, 0, 0])
    await world.clock.advance(minute)
    expect(await load()).toBe(undefined)
  })

  test('that follows a clock set ahead and accepted does so at the next owner', async () => {
    const { a, b, during, put, setBy, ahead, load } = await clocked()
    await put()
    await setBy(2 * minute)
    await during(a.control.acceptClock())
    await during(b.close())

    expect(await load()).toBe(undefined)
    expect(ahead()).toEqual([0, 0, 0, 0])
  })

  test.each([
    ['', () => undefined],
    [', none of whose shards is open', downAt],
  ] as const)(
    'that does not follow a clock set ahead does not do so at the next owner%s',
    async (_, harm) => {
      const { world, a, b, during, put, setBy, load } = await clocked()
      await put()
      await setBy(2 * minute)
      harm(a)
      await during(b.close())

      expect(await load()).toBe(1)
      await world.clock.advance(minute)
      expect(await load()).toBe(undefined)
    },
  )
})

test.each([
  ['snapshot of any shard', 'take', true],
  ['backup', 'takeForBackup', false],
] as const)('a shard leaves, or stays, beside a %s', async (_, take, leaves) => {
  const { world, a, b, during } = await joined()
  const ends = await during(
    Promise.all([a, b].map(({ shards: [shard] }) => shard?.snapshots.parts.turns[take]())),
  )
  const [c] = (await world.start(['c'], app)) as [App]
  await world.clock.advance(10_000)
  expect(openAt(c).length > 0).toBe(leaves)

  for (const end of ends) end?.()
  await world.clock.advance(10_000)
  expect(openAt(c).length).toBeGreaterThan(0)
})

test('a shard that is suspended while it leaves stays until that ends', async () => {
  const { world, a, b, during } = await joined()
  const left: {
    owner: App
    shard: number
    suspending: ReturnType<App['control']['suspendAll']>
  }[] = []
  for (const owner of [a, b])
    for (const shard of owner.shards) {
      const begin = shard.beginLeave.bind(shard)
      vi.spyOn(shard, 'beginLeave').mockImplementationOnce(() => {
        begin()
        if (left.length > 0) return
        const suspending = owner.control.suspendAll({ writes: true })
        left.push({ owner, shard: shard.index, suspending })
      })
    }
  const [c] = (await world.start(['c'], app)) as [App]
  await world.clock.advance(10_000)
  const [{ owner, shard, suspending }] = left as [(typeof left)[number]]

  const { token, outcomes } = await during(suspending)
  expect(outcomes.every(({ ok }) => ok)).toBe(true)
  await world.clock.advance(30_000)
  expect(openAt(owner)).toContain(shard)
  const resumed = await during(c.control.resumeAll({ token }))
  expect(resumed.outcomes.every(({ ok }) => ok)).toBe(true)

  await world.clock.advance(60_000)
  expect(openAt(c)).toContain(shard)
})

test('a shard that recovers while it leaves is at no member until it stays, and then its workers run', async () => {
  const workers = Array.from({ length: 12 }, (_, at) => `worker-${at}`)
  const { world, a, b, during } = await joined(() => ({
    app: supervisor(
      'app',
      {},
      workers.map((id) => worker(id, account, { durable: true })),
    ),
  }))
  const left: { owner: App; shard: number; shown: unknown[] }[] = []
  for (const [owner, other] of [
    [a, b],
    [b, a],
  ] as const)
    for (const shard of owner.shards) {
      const shut = shard.shut.bind(shard)
      vi.spyOn(shard, 'shut').mockImplementationOnce(() => {
        shut()
        if (left.length > 0) return
        const shown: unknown[] = []
        left.push({ owner, shard: shard.index, shown })
        owner.system.kill(name(`applier(${shard.index})`))
        const stay = shard.stay.bind(shard)
        vi.spyOn(shard, 'stay').mockImplementationOnce(() => {
          shown.push(owner[innerParts].way?.ownerOf(shard.index))
          shown.push(other[innerParts].way?.ownerOf(shard.index))
          stay()
          // It does not leave again at once.
          void shard.parts.snapshotTurns.takeForBackup()
        })
      })
    }
  await world.start(['c'], app)
  for (let at = 0; at < 1_000 && left[0]?.shown.length !== 2; at++) await world.clock.advance(10)
  await world.clock.advance(1_000)
  const [{ owner, shard, shown }] = left as [(typeof left)[number]]
  expect(shown).toEqual([undefined, undefined])
  expect(openAt(owner)).toContain(shard)
  const own = workers.filter((id) => owner.store.shardOf(`{$worker/${id}}`) === shard)
  expect(own.length).toBeGreaterThan(0)
  for (const id of own)
    expect(await during(call(owner.system.to(name<Messages>(id)), 'add', 'after'))).toBe(1)
})
