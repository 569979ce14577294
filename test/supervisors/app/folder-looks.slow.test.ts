/** Looks at entities show those of all members of a folder, from every one of them. */
import { beforeEach, describe, expect, test } from 'vitest'
import { call, type DurableServer, entity, noReply, reply, supervisor } from '../../../src/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'

type Messages = {
  calls: { add: (cents: number) => number; remind: (ms: number) => null }
  alarms: { unpaid: () => void }
}

type Order = { readonly cents: number; readonly status: string }

const order: DurableServer<Messages, Order, { status: string; cents: number }> = {
  init: () => ({ cents: 0, status: 'new' }),
  index: ({ status, cents }) => ({ status, cents }),
  calls: {
    add: ({ cents }, more) => {
      const next = { cents: cents + more, status: cents + more > 20 ? 'large' : 'small' }
      return reply(next.cents, next)
    },
    remind: (state, inMs, context) => {
      context.setAlarm('unpaid', { inMs })
      return reply(null, state)
    },
  },
  alarms: { unpaid: (state) => noReply(state) },
}

const names = ['a', 'b', 'c']
let world: FolderMembers
let apps: readonly App[]

const entitiesAt = (app: App) =>
  app.entity<Messages, Order, { status: string; cents: number }>('order')

const ids = Array.from({ length: 30 }, (_, at) => `o${String(at).padStart(2, '0')}`)

beforeEach(async () => {
  world = new FolderMembers(names)
  const app = () => supervisor('app', {}, [entity('order', order)])
  apps = await world.start(names, () => ({ app: app() }))
  const [first] = apps as [App]
  for (const [at, id] of ids.entries())
    await world.during(call(entitiesAt(first).ref(id), 'add', at))
})

describe('of entities, every member shows', () => {
  test('pages in the order of their ids, whoever has them', async () => {
    for (const app of apps) {
      const seen: string[] = []
      let cursor: string | undefined
      do {
        const page = await world.during(
          entitiesAt(app).page({ limit: 7, ...(cursor !== undefined && { cursor }) }),
        )
        for (const { id, state } of page.entries) {
          expect(state).toMatchObject({ cents: Number(id.slice(1)) })
          seen.push(id)
        }
        expect(page.positions.map(({ shard }) => shard)).toEqual([0, 1, 2, 3])
        cursor = page.cursor
      } while (cursor !== undefined)
      expect(seen).toEqual(ids)
    }
  })

  test('pages by an index, in the order of its values, from the last one on', async () => {
    const options = { where: { cents: { gte: 5, lt: 25 } }, order: 'desc', limit: 6 } as const
    for (const app of apps) {
      const first = await world.during(entitiesAt(app).page(options))
      const { cursor = '' } = first
      const second = await world.during(entitiesAt(app).page({ ...options, cursor }))
      const cents = [...first.entries, ...second.entries].map(({ state }) => state?.cents)
      expect(cents).toEqual([24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13])
    }
  })

  test('their counts', async () => {
    for (const app of apps) {
      expect(await world.during(entitiesAt(app).count())).toBe(30)
      const counts = await world.during(entitiesAt(app).counts('status'))
      expect([...counts]).toEqual([
        ['large', 9],
        ['small', 21],
      ])
    }
  })

  test('their alarms, the soonest first', async () => {
    for (const [at, id] of ids.entries())
      await world.during(
        call(entitiesAt(apps[1] as App).ref(id), 'remind', 1_000_000 - at * 20_000),
      )
    for (const app of apps) {
      const alarms = await world.during(entitiesAt(app).alarms({ limit: 4 }))
      expect(alarms.map(({ id, name }) => [id, name])).toEqual(
        ['o29', 'o28', 'o27', 'o26'].map((id) => [id, 'unpaid']),
      )
    }
  })

  test('the past turns of each, and the difference of two', async () => {
    for (const app of apps)
      for (const id of ids.slice(0, 6)) {
        const entities = entitiesAt(app)
        const { turns } = await world.during(entities.history(id))
        expect(turns.length, id).toBeGreaterThan(0)
        const lsn = turns[0]?.lsn as number
        expect(await world.during(entities.diff(id, lsn, lsn))).toEqual([])
      }
  })

  test('the same refusal of an LSN that is none, and the owner in the one of a synchronous read', async () => {
    const refusals = await Promise.all(
      apps.map((app) =>
        entitiesAt(app)
          .diff('o00', 0, 1)
          .catch((error) => error.message),
      ),
    )
    expect(new Set(refusals)).toEqual(new Set(['lsn: expected an LSN, found 0']))

    const owner = names[apps.findIndex((app) => app.health().shards[0]?.phase === 'open')]
    const id = ids.find((each) => apps[0]?.store.shardOf(`{order/${each}}`) === 0) as string
    for (const [at, app] of apps.entries())
      if (names[at] !== owner)
        expect(() => entitiesAt(app).state(id)).toThrow(`shard 0 is at the member ${owner}`)
  })

  test('all of them after one member has been killed', async () => {
    await world.kill('b')
    await world.clock.advance(5_000)
    for (const app of [apps[0], apps[2]] as App[]) {
      expect(await world.during(entitiesAt(app).count())).toBe(30)
      const { entries } = await world.during(entitiesAt(app).page({ states: false }))
      expect(entries.map(({ id }) => id)).toEqual(ids)
    }
  })
})
