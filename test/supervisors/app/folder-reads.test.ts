/** Counts, alarms and the past of entities are the same from every member of a folder. */
import { beforeEach, describe, expect, test } from 'vitest'
import { call, type DurableServer, entity, noReply, reply, supervisor } from '../../../src/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'

type Messages = { calls: { pay: (cents: number) => number }; alarms: { remind: () => void } }

type Bill = { readonly cents: number }

const bill: DurableServer<Messages, Bill, Bill> = {
  init: () => ({ cents: 0 }),
  index: ({ cents }) => ({ cents }),
  calls: {
    pay: (_, cents, context) => {
      context.setAlarm('remind', { at: lastMs - cents })
      return reply(cents, { cents })
    },
  },
  alarms: { remind: (state) => noReply(state) },
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
  apps = await world.start(names, () => ({ app: supervisor('app', {}, [entity('bill', bill)]) }))
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

describe('when an owner has ended', () => {
  test('a count waits for the next one', async () => {
    await world.kill('b')
    expect(await during(bills(at('a')).count())).toBe(24)
  })

  test('a count is SHARD_DOWN if nobody takes its shards in time', async () => {
    world.links.part('a', 'b')
    world.links.part('a', 'c')
    await expect(during(bills(at('a')).count())).rejects.toMatchObject({ code: 'SHARD_DOWN' })
    world.links.heal()
  })
})
