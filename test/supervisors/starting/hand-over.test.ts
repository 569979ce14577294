/** Members of a folder hand shards over that are open, and no call and no write of the others fails. */
import { describe, expect, test } from 'vitest'
import {
  call,
  type DurableServer,
  entity,
  name,
  reply,
  supervisor,
  worker,
} from '../../../src/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'

type Messages = { calls: { add: (amount: number) => number; read: () => number } }

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
