/** Members of a folder hand shards over that are open, and no call and no write of the others fails. */
import { describe, expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { KeelsonError } from '../../../src/errors.ts'
import {
  call,
  type DurableServer,
  entity,
  type GenServer,
  name,
  reply,
  supervisor,
  worker,
} from '../../../src/index.ts'
import { HandOver, type HandOverParts } from '../../../src/members/starting/hand-over.ts'
import { createSystem } from '../../../src/runtime/index.ts'
import { DiskError } from '../../../src/storage/index.ts'
import { innerParts } from '../../../src/supervisors/app/app-context.ts'
import type { App } from '../../../src/supervisors/index.ts'
import type { Shard } from '../../../src/supervisors/tree/shard.ts'
import { silentLogger } from '../../../src/testing/index.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'

type Messages = { calls: { add: (amount: number) => number; read: () => number } }

type Patient = Record<never, never>

const counter: DurableServer<Messages, { readonly sum: number }> = {
  init: () => ({ sum: 0 }),
  calls: {
    add: ({ sum }, amount) => reply(sum + amount, { sum: sum + amount }),
    read: (state) => reply(state.sum, state),
  },
}

const app = () =>
  supervisor('app', {}, [entity('counter', counter), worker('clerk', counter, { durable: true })])

const ids = ['u', 'v', 'w', 'x', 'y', 'z', 'p', 'q']

const openAt = (member: App): number[] =>
  member.shards.flatMap(({ index, phase }) => (phase.kind === 'open' ? [index] : []))

const counted = (member: App, id: string) => member.entity<Messages>('counter').ref(id)

describe('a hand-over', () => {
  test('a member that closes gives its shards to those that stay, and no call or write fails', async () => {
    const world = new FolderMembers(['a', 'b'])
    const [a, b] = (await world.start(undefined, () => ({ app: app() }))) as [App, App]
    const own = openAt(b)
    expect(own.length).toBeGreaterThan(0)
    const closing = b.close()
    const work: Promise<unknown>[] = []
    for (let round = 0; round < 20; round++) {
      for (const id of ids) work.push(call(counted(a, id), 'add', 1))
      for (const id of ids) work.push(a.store.put(`n:${id}`, round))
      work.push(call(a.system.to(name<Messages>('clerk')), 'add', 1))
      await world.clock.advance(1)
    }
    await world.during(closing)
    expect(openAt(a)).toHaveLength(4)
    await world.during(Promise.all(work))
    for (const id of ids) {
      expect(await world.during(call(counted(a, id), 'read'))).toBe(20)
      expect(a.store.get(`n:${id}`)).toBe(19)
    }
    expect(await world.during(call(a.system.to(name<Messages>('clerk')), 'read'))).toBe(20)
  })

  test('a member that begins again gets its shards back, with all that they have', async () => {
    const world = new FolderMembers(['a', 'b'])
    const [a, b] = (await world.start(undefined, () => ({ app: app() }))) as [App, App]
    const own = openAt(b)
    await world.during(Promise.all(ids.map((id) => call(counted(a, id), 'add', 1))))
    for (let round = 2; round < 5; round++) {
      await (round === 2 ? world.during(b.close()) : world.stop('b'))
      await world.during(Promise.all(ids.map((id) => call(counted(a, id), 'add', 10))))
      const [again] = (await world.start(['b'], () => ({ app: app() }))) as [App]
      await world.clock.advance(10_000)
      expect(openAt(again)).toEqual(own)
      for (const id of ids) {
        const expected = 1 + (round - 1) * 10
        expect(await world.during(call(counted(a, id), 'read'))).toBe(expected)
        expect(await world.during(call(counted(again, id), 'read'))).toBe(expected)
      }
    }
  })

  test('durable workers that move spend no restarts of their supervisor, and restart no sibling', async () => {
    const clerks = Array.from({ length: 12 }, (_, at) => `clerk-${at}`)
    const sibling: GenServer<Patient, undefined> = { init: () => undefined }
    const tree = () => ({
      app: supervisor('app', { strategy: 'rest_for_one' }, [
        ...clerks.map((id) => worker(id, counter, { durable: true })),
        worker('sibling', sibling),
      ]),
    })
    const world = new FolderMembers(['a', 'b'])
    const told: string[] = []
    const noted = (member: App): App => {
      for (const event of ['supervisor.gave_up', 'process.restarted'] as const)
        member.events.on(event, (facts) => void told.push(`${event} ${facts.id}`))
      return member
    }
    const [a, b] = (await world.start(undefined, tree)).map(noted) as [App, App]
    const add = (member: App, id: string) =>
      call(member.system.to(name<Messages>(id)), 'add', 1, { timeoutMs: 10_000 })
    await world.during(Promise.all(clerks.map((id) => add(a, id))))
    await world.during(b.close())
    const [again] = (await world.start(['b'], tree)).map(noted) as [App]
    await world.clock.advance(10_000)
    expect(openAt(again).length).toBeGreaterThan(0)
    const sums = await world.during(Promise.all(clerks.map((id) => add(again, id))))
    expect(sums).toEqual(clerks.map(() => 2))
    expect(told).toEqual([])
  })

  test('a turn that fails ends no move for good, and no close', async () => {
    const world = new FolderMembers(['a', 'b'])
    const [a, b] = (await world.start(undefined, () => ({ app: app() }))) as [App, App]
    const own = openAt(b)
    const { lock } = world.locks
    let fails = true
    Object.assign(world.locks, {
      lock: (path: string, holder: string) => {
        if (fails && path.endsWith('~moves')) throw new DiskError('ENOLCK', 'lock', path)
        return lock(path, holder)
      },
    })
    await world.during(b.close())
    expect(b.shards.map(({ phase }) => phase.kind)).not.toContain('open')
    await world.clock.advance(2_000)
    expect(openAt(a)).toHaveLength(4)
    const [again] = (await world.start(['b'], () => ({ app: app() }))) as [App]
    await world.clock.advance(5_000)
    expect(openAt(again)).toEqual([])
    fails = false
    await world.clock.advance(5_000)
    expect(openAt(again)).toEqual(own)
  })

  test('a shard that is held keeps no other shard here', async () => {
    const world = new FolderMembers(['a', 'b'])
    const [a, b] = (await world.start(undefined, () => ({ app: app() }))) as [App, App]
    const own = openAt(b)
    expect(own.length).toBeGreaterThan(1)
    await world.during(b.close())
    const [held, ...others] = own as [number, ...number[]]
    await world.during(a.control.suspend(held, { leaseMs: 60_000 }))
    const [again] = (await world.start(['b'], () => ({ app: app() }))) as [App]
    await world.clock.advance(10_000)
    expect(openAt(again)).toEqual(others)
  })

  test('a write that waits to be admitted is done before its shard leaves', async () => {
    const world = new FolderMembers(['a', 'b'])
    const [, b] = (await world.start(undefined, () => ({ app: app() }))) as [App, App]
    const own = openAt(b)
    const { gate } = b.shards[own[0] as number] as Shard
    const keyed = Array.from({ length: 40 }, (_, at) => `k${at}`)
    const key = keyed.find((each) => b.store.shardOf(each) === own[0]) as string
    gate.hold('a test')
    const put = b.store.put(key, 1, { deadlineMs: 60_000 })
    const closing = b.close()
    await world.clock.advance(3_000)
    gate.release('a test')
    expect(await world.during(put)).toMatchObject({ position: { shard: own[0] } })
    await world.during(closing)
  })

  test('a shard whose leaving fails stays, and answers the others', async () => {
    const world = new FolderMembers(['a', 'b'])
    const [a, b] = (await world.start(undefined, () => ({ app: app() }))) as [App, App]
    const own = openAt(b)
    await world.during(b.close())
    const { entities } = a[innerParts]
    const { leave } = entities
    entities.leave = async () => {
      throw new Error('an actor cannot end')
    }
    const [again] = (await world.start(['b'], () => ({ app: app() }))) as [App]
    await world.clock.advance(4_000)
    expect(openAt(again)).toEqual([])
    for (const id of ids) expect(await world.during(call(counted(again, id), 'add', 1))).toBe(1)
    entities.leave = leave
    await world.clock.advance(10_000)
    expect(openAt(again)).toEqual(own)
    for (const id of ids) expect(await world.during(call(counted(a, id), 'read'))).toBe(1)
  })

  test('the lock of a turn is not asked for while its holder lives', async () => {
    const world = new FolderMembers(['a', 'b'])
    const [a, b] = (await world.start(undefined, () => ({ app: app() }))) as [App, App]
    const { lock } = world.locks
    const turn = lock('/data/members/~moves', 'another')
    let asked = 0
    Object.assign(world.locks, {
      lock: (path: string, holder: string) => {
        if (path.endsWith('~moves')) asked++
        return lock(path, holder)
      },
    })
    const closing = b.close()
    await world.clock.advance(3_000)
    expect(asked).toBe(0)
    turn.release()
    await world.during(closing)
    expect(asked).toBeGreaterThan(0)
    expect(openAt(a)).toHaveLength(4)
  })

  test('members that close together do not wait for calls that nobody can answer', async () => {
    const world = new FolderMembers(['a', 'b'])
    const patient: GenServer<Patient, Promise<unknown> | undefined> = {
      init: (_, context) => {
        context.trapExit(true)
        return undefined
      },
      // While it ends, it asks for what the other one has.
      terminate: async (_state, _reason, context) => {
        const { app: own } = context as unknown as { app: App }
        const asked = ids.map((id) =>
          context.call(own.entity<Messages>('counter').ref(id), 'add', 1, { timeoutMs: 60_000 }),
        )
        const written = ids.map((id) => own.store.put(`k${id}`, 1, { deadlineMs: 60_000 }))
        await Promise.allSettled([
          ...asked,
          ...written,
          ...ids.map((id) => own.store.load(`k${id}`)),
        ])
      },
    }
    const tree = () => ({
      app: supervisor('app', {}, [entity('counter', counter), worker('patient', patient)]),
    })
    const apps = await world.start(undefined, tree)
    const since = world.clock.monotonic()
    await world.during(Promise.all(apps.map((each) => each.close())))
    expect(world.clock.monotonic() - since).toBeLessThan(3_000)
  })

  test('a turn that comes when the instance has begun to end moves nothing', async () => {
    const clock = virtualClock()
    const ending = new AbortController()
    let closed = 0
    let begin: (turn: { release: () => Promise<void> }) => void = () => undefined
    let released = 0
    const parts = {
      system: createSystem({ clock }),
      ending: ending.signal,
      shards: [{ index: 0, phase: { kind: 'open' } }],
      way: {
        ...{ others: ['b'], answer: () => undefined },
        ...{ isLinked: () => true, askMember: async () => true },
      },
      directory: { turn: () => new Promise((resolve) => (begin = resolve)) },
      moves: { close: async () => closed++ },
    }
    const given = new HandOver(parts as unknown as HandOverParts).giveAll(5_000)
    await clock.advance(5_000)
    ending.abort()
    begin({ release: async () => void released++ })
    await clock.settle()
    await given
    expect([closed, released]).toEqual([0, 1])
  })

  test.each([
    ['CLOSED', 'info'],
    ['NO_PROCESS', 'info'],
    ['EXITED', 'info'],
    ['TIMEOUT', 'warn'],
  ] as const)('that ends with %s is a line of the level %s', async (code, level) => {
    const lines: unknown[] = []
    const at = (name: string) => (text: string, facts?: { readonly reason?: unknown }) =>
      void lines.push([name, text, facts?.reason !== undefined])
    const logger = { error: at('error'), warn: at('warn'), info: at('info') }
    const ask = async (_: string, question: string) => {
      if (question === 'shards.takes') return true
      throw new KeelsonError(code, 'of the other one')
    }
    const parts = {
      system: createSystem({ clock: virtualClock(), logger }),
      ending: new AbortController().signal,
      shards: [{ index: 0, phase: { kind: 'open' } }],
      way: { others: ['b'], answer: () => undefined, isLinked: () => true, askMember: ask },
      directory: {
        turn: async () => ({ release: async () => undefined }),
        give: async () => undefined,
      },
      moves: { close: async () => true },
    }
    await new HandOver(parts as unknown as HandOverParts).giveAll(5_000)

    const line = `b has not taken shard 0: ${code}: of the other one`
    expect(lines).toEqual([[level, line, level === 'warn']])
  })

  test('that one member has not taken goes to another one, if this one closes', async () => {
    const asked: string[] = []
    const ask = async (member: string, question: string) => {
      if (question === 'shards.takes') return true
      asked.push(member)
      if (asked.length === 1) throw new KeelsonError('CLOSED', 'it ends')
    }
    let closed = 0
    const parts = {
      system: createSystem({ clock: virtualClock(), logger: silentLogger }),
      ending: new AbortController().signal,
      shards: [{ index: 0, phase: { kind: 'open' } }],
      way: {
        ...{ others: ['b', 'c', 'd'], answer: () => undefined },
        ...{ isLinked: () => true, askMember: ask },
      },
      directory: {
        turn: async () => ({ release: async () => undefined }),
        give: async () => undefined,
      },
      moves: { close: async () => ++closed === 1 },
    }
    await new HandOver(parts as unknown as HandOverParts).giveAll(5_000)

    expect([closed, asked.length, new Set(asked).size]).toEqual([1, 2, 2])
  })

  test('members that close together hand nothing around', async () => {
    const world = new FolderMembers(['a', 'b', 'c'])
    const apps = await world.start(undefined, () => ({ app: app() }))
    const before = apps.map(openAt)
    const after = Promise.all(apps.map((each) => each.close()))
    await world.during(after)
    expect(apps.map(({ shards }) => shards.filter(({ opened }) => opened > 0).length)).toEqual(
      before.map(({ length }) => length),
    )
  })
})
