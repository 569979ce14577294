/** Counts, alarms and the past of entities are the same from every member of a folder. */
import { beforeEach, describe, expect, test } from 'vitest'
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
import type { App } from '../../../src/supervisors/index.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'

type Messages = {
  calls: {
    pay: (cents: number) => number
    keep: (notes: Readonly<Record<string, string>>) => number
    settle: () => number
    charge: () => number
  }
  alarms: { remind: () => void }
  continues: { charge: () => void }
}

type Bill = { readonly cents: number }

const bill: DurableServer<Messages, Bill, Bill> = {
  init: () => ({ cents: 0 }),
  index: ({ cents }) => ({ cents }),
  calls: {
    pay: (_, cents, context) => {
      context.setAlarm('remind', { at: lastMs - cents })
      return reply(cents, { cents })
    },
    keep: (state, notes, { rows }) => {
      for (const [key, note] of Object.entries(notes)) rows.put(key, note)
      return reply(0, state)
    },
    settle: (state, _, context) => {
      context.end({ keepMs: 1_000_000 })
      return reply(0, state)
    },
    charge: (state) => reply(0, state, { continue: ['charge'] }),
  },
  alarms: { remind: (state) => noReply(state) },
  continues: {
    charge: () => {
      throw new Error('no money')
    },
  },
  retry: { max: 1 },
}

type TillMessages = { calls: { pay: (cents: number) => number } }

const till: DurableServer<TillMessages, Bill> = {
  init: () => ({ cents: 0 }),
  calls: { pay: (_, cents) => reply(cents, { cents }) },
}

/** Long after the test. */
const lastMs = 4_000_000_000_000

const names = ['a', 'b', 'c']
const ids = Array.from({ length: 24 }, (_, at) => `bill-${at}`)
let world: FolderMembers
let apps: readonly App[]

const during = <T>(work: Promise<T>): Promise<T> => world.during(work)

const bills = (app: App) => app.entity<Messages, Bill, Bill>('bill')

const at = (member: string): App => apps[names.indexOf(member)] as App

/** An id whose shard this member has. */
const idAt = (member: string): string => {
  const { shards, entities } = at(member)
  const isHere = (id: string): boolean =>
    shards[entities.shardOf(`bill/${id}`).index]?.phase.kind === 'open'
  return ids.find(isHere) as string
}

beforeEach(async () => {
  world = new FolderMembers(names)
  apps = await world.start(names, () => ({
    app: supervisor('app', {}, [
      entity('bill', bill),
      worker('till', till, { durable: true, name: 'till' }),
    ]),
  }))
  const paid = ids.map((id, number) => call(bills(at('a')).ref(id), 'pay', number % 3))
  await during(Promise.all(paid))
})

describe('from every member', () => {
  test.each(names)('%s counts the entities of all shards', async (member) => {
    expect(await during(bills(at(member)).count())).toBe(24)
    const counts = await during(bills(at(member)).counts('cents'))
    expect([...counts]).toEqual([
      [0, 8],
      [1, 8],
      [2, 8],
    ])
  })

  test.each(names)('%s names the alarms that are set, the soonest first', async (member) => {
    const alarms = await during(bills(at(member)).alarms({ limit: 9 }))

    expect(alarms.map(({ at }) => lastMs - at)).toEqual([2, 2, 2, 2, 2, 2, 2, 2, 1])
    expect(new Set(alarms.map(({ id }) => id)).size).toBe(9)
  })

  test.each(names)('%s shows the turns of an entity, and what they changed', async (member) => {
    const id = idAt('b')
    const { lsn } = (await during(bills(at('b')).history(id))).turns[0] as { lsn: number }
    await during(call(bills(at(member)).ref(id), 'pay', 77))
    const page = await during(bills(at(member)).history(id, { reveal: true }))
    const newest = page.turns[0]?.lsn as number

    expect(page.turns[0]?.state).toEqual({ cents: 77 })
    expect(page).toEqual(await during(bills(at('b')).history(id, { reveal: true })))
    expect(await during(bills(at(member)).diff(id, lsn, newest, { reveal: true }))).toEqual([
      { path: 'cents', before: expect.any(Number), after: 77 },
    ])
  })
})

describe('of one entity, every member', () => {
  const notes = Object.fromEntries(
    Array.from({ length: 9 }, (_, at) => [`note-${at}`, `text ${at}`]),
  )

  test.each(names)('%s reads its rows, one by one and in pages', async (member) => {
    const id = idAt('b')
    await during(call(bills(at('b')).ref(id), 'keep', notes))
    const rows = bills(at(member)).rows(id)

    expect(await during(rows.load('note-3'))).toBe('text 3')
    expect(await during(rows.load('none'))).toBe(undefined)
    const first = await during(rows.page({ limit: 5 }))
    const { cursor = '' } = first
    const rest = await during(rows.page({ limit: 5, cursor }))
    expect([...first.entries, ...rest.entries]).toEqual(Object.entries(notes))
    expect(rest).toMatchObject({ exhausted: true, cursor: undefined })
  })

  test.each(names)('%s reads a row that is larger than a page takes', async (member) => {
    const id = idAt('b')
    const text = 'x'.repeat(3_000_000)
    await during(call(bills(at('b')).ref(id), 'keep', { one: text, two: text, three: text }))
    const { entries } = await during(bills(at(member)).rows(id).page())
    const [, value] = entries[0] as [string, { readonly length: number; load(): Promise<unknown> }]

    expect(entries.map(([key]) => key)).toEqual(['one', 'three', 'two'])
    expect(value.length).toBeGreaterThanOrEqual(3_000_000)
    expect(await during(value.load())).toBe(text)
  })

  test.each(names)('%s knows when it is removed', async (member) => {
    const id = idAt('b')
    expect(await during(bills(at(member)).read('endsAt', id))).toBe(undefined)
    await during(call(bills(at('a')).ref(id), 'settle'))
    const endsAt = bills(at('b')).endsAt(id)
    expect(endsAt).toBeGreaterThan(world.clock.now())
    expect(await during(bills(at(member)).read('endsAt', id))).toBe(endsAt)
  })

  test.each(names)(
    '%s names the ones of every member that cannot go on, and why',
    async (member) => {
      const stuck = names.map(idAt).sort()
      for (const id of stuck) await during(call(bills(at('a')).ref(id), 'charge'))
      await world.clock.advance(1_000)
      const blocked = await during(bills(at(member)).read('blocked'))

      expect([...blocked.keys()].sort()).toEqual(stuck)
      for (const error of blocked.values())
        expect(error).toMatchObject({
          code: 'BLOCKED',
          message: expect.stringContaining('no money'),
        })
      expect(bills(at(member)).blocked().size).toBe(1)
    },
  )

  test.each(names)('%s shows the past of a durable worker', async (member) => {
    for (const cents of [5, 7])
      await during(call(at(member).system.to(name<TillMessages>('till')), 'pay', cents))
    const { turns } = await during(at(member).workerHistory('till', { reveal: true }))
    const [last, first] = turns.map(({ lsn }) => lsn) as [number, number]

    expect(turns.slice(0, 2).map(({ state }) => state)).toEqual([{ cents: 7 }, { cents: 5 }])
    expect(await during(at(member).workerDiff('till', first, last, { reveal: true }))).toEqual([
      { path: 'cents', before: 5, after: 7 },
    ])
  })
})

describe('when an owner has ended', () => {
  test('a count waits for the next one', async () => {
    await world.kill('b')
    expect(await during(bills(at('a')).count())).toBe(24)
  })

  test('every read that is begun while its shards come to the next ones waits', async () => {
    const id = idAt('b')
    const key = `{bill/${id}}`
    await during(at('b').store.put(key, 7))
    await world.kill('b')
    const reads: Promise<unknown>[] = []
    for (let step = 0; step < 100; step++) {
      for (const app of [at('a'), at('c')])
        reads.push(
          bills(app)
            .page({ states: false, limit: 50 })
            .then(({ entries }) => entries.length),
          bills(app)
            .load(id)
            .then((state) => state?.cents !== undefined),
          app.store.read('get', key),
        )
      for (const read of reads.slice(-6)) read.catch(() => undefined)
      await world.clock.advance(step < 50 ? 1 : 20)
    }
    const found = await during(Promise.all(reads))
    for (let place = 0; place < found.length; place += 3)
      expect(found.slice(place, place + 3)).toEqual([24, true, 7])
  })

  test('a count is SHARD_DOWN if nobody takes its shards in time', async () => {
    world.links.part('a', 'b')
    world.links.part('a', 'c')
    await expect(during(bills(at('a')).count())).rejects.toMatchObject({ code: 'SHARD_DOWN' })
    world.links.heal()
  })
})
