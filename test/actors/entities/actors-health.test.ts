/** The lists of troubles in `health().actors`: each counts all, and shows its first ten. */
import { describe, expect, test } from 'vitest'
import {
  call,
  cast,
  type DurableServer,
  entity,
  noReply,
  reply,
  supervisor,
  worker,
} from '../../../src/index.ts'
import type { Simulation } from '../../../src/testing/index.ts'
import { fillDisk, freeDisk } from '../../support/harm/full-disk.ts'
import { codeOf, failNextSync, simulated } from '../../support/worlds/simulated-instance.ts'

type Messages = {
  calls: { charge: () => void; wake: (inMs: number) => void }
  casts: { add: () => void }
  continues: { charge: () => void }
  alarms: { ring: () => void }
}

const server: DurableServer<Messages, number> = {
  init: () => 0,
  calls: {
    charge: (count) => reply(undefined, count + 1, { continue: ['charge'] }),
    wake: (count, inMs, context) => {
      context.setAlarm('ring', { inMs })
      return reply(undefined, count + 1)
    },
  },
  casts: { add: (count) => noReply(count + 1) },
  continues: {
    charge: () => {
      throw new Error('the bank is away')
    },
  },
  alarms: { ring: (count) => noReply(count) },
}
const once = { ...server, retry: { max: 1 } }

const kinds = [entity('order', server), entity('paid', once), entity('sent', once)] as const
const tree = supervisor('app', {}, [...kinds, worker('lone', once, { durable: true })])

const ids = (count: number) => Array.from({ length: count }, (_, at) => `${at}`.padStart(2, '0'))
const namesOf = ({ first }: { readonly first: readonly { readonly entity: string }[] }) =>
  first.map(({ entity: name }) => name)

/** Asks the first entities of a kind, so many. */
const askAll = (
  s: Simulation,
  kind: (typeof kinds)[number],
  count: number,
  ask: 'charge' | 'wake',
) =>
  s.during(
    Promise.all(ids(count).map((id) => call(s.app.entity(kind).ref(id), ask as 'wake', 5_000))),
  )

describe('each list', () => {
  test('of failing and of parked work counts all, over all kinds and workers, and shows ten', async () => {
    const s = await simulated({ app: tree })
    const [order, paid, sent] = kinds
    await askAll(s, order, 12, 'charge')
    await askAll(s, paid, 7, 'charge')
    await askAll(s, sent, 2, 'charge')
    await s.during(call(s.system.to<Messages>('lone' as never), 'charge'))
    await s.advance(100)

    const { failing, parked } = s.app.health().actors
    expect([failing.count, parked.count]).toEqual([12, 10])
    expect(namesOf(failing)).toEqual(ids(10).map((id) => `order/${id}`))
    expect(namesOf(parked)).toEqual([
      ...ids(7).map((id) => `paid/${id}`),
      ...['sent/00', 'sent/01', '$worker/lone'],
    ])

    // Of one that parks again both steps are shown.
    await askAll(s, sent, 2, 'charge')
    await s.advance(100)
    const again = s.app.health().actors.parked
    expect(again.count).toBe(10)
    expect(namesOf(again).slice(7)).toEqual(['sent/00', 'sent/00', 'sent/01'])
  })

  test('of failing work begins with what failed three times or more, wherever that comes', async () => {
    const s = await simulated({ app: tree })
    const { trouble } = s.app.entities
    const fail = (id: string, tries: number) => {
      const work = { entity: `order/${id}`, what: 'continue charge', tries, retryAt: 9 }
      trouble.fails('charge', { ...work, error: 'no' }, 1)
    }
    for (const id of ids(20)) fail(id, id < '18' ? 2 : 3)

    const { failing } = s.app.health().actors
    expect(failing.count).toBe(20)
    expect(namesOf(failing)).toEqual(['18', '19', ...ids(8)].map((id) => `order/${id}`))

    for (const id of ids(20)) fail(id, 3)
    expect(namesOf(s.app.health().actors.failing)).toEqual(ids(10).map((id) => `order/${id}`))
  })

  test('of those that wait for space counts all and shows ten', async () => {
    const s = await simulated({ app: tree })
    await askAll(s, kinds[0], 12, 'wake')
    await fillDisk(s)
    for (const id of ids(12)) cast(s.app.entity(kinds[0]).ref(id), 'add')
    await s.advance(100)

    const { waiting } = s.app.health().actors
    expect([waiting.count, namesOf(waiting)]).toEqual([12, ids(10).map((id) => `order/${id}`)])
    freeDisk(s)
  })

  test('of a blocked actor says since when, also after a further wake-up that fails', async () => {
    const s = await simulated({ app: tree })
    await askAll(s, kinds[0], 1, 'wake')
    await s.close()
    const newer = entity('order', { ...server, version: 2 })
    await s.start({ app: supervisor('app', {}, [newer, kinds[1]]) })
    await s.advance(5_000)
    const since = () => s.app.health().actors.blocked.first.map((each) => each.since)
    const first = since()
    expect(first).toEqual([expect.any(Number)])

    await s.advance(60_000)
    await expect(askAll(s, newer, 1, 'wake')).rejects.toMatchObject({ code: 'BLOCKED' })
    expect(since()).toEqual(first)
  })

  test('of blocked actors counts all, over all kinds, and shows ten', async () => {
    const s = await simulated({ app: tree })
    await askAll(s, kinds[0], 12, 'wake')
    await askAll(s, kinds[1], 2, 'wake')
    await s.close()
    const newer = ['order', 'paid'].map((kind) => entity(kind, { ...server, version: 2 }))
    await s.start({ app: supervisor('app', {}, newer) })
    await s.advance(10_000)

    const { blocked, overdue } = s.app.health().actors
    expect([blocked.count, overdue.count]).toEqual([14, 0])
    expect(namesOf(blocked)).toEqual(ids(10).map((id) => `order/${id}`))
    await s.advance(10_000)
    const later = s.app.health().actors.overdue
    expect([later.count, later.first.length]).toEqual([14, 10])
  })
})

test('a shard that is down shows nothing of its actors, and the others all of theirs', async () => {
  const s = await simulated({ app: tree, shards: 2 })
  const [order, paid] = kinds
  await askAll(s, order, 8, 'wake')
  await askAll(s, paid, 8, 'charge')
  await s.close()
  // Nobody serves the alarms.
  await s.start({ app: supervisor('app', {}, [paid]), shards: 2 })
  await s.advance(60_000)
  const indexOf = (name: string) => s.app.entities.shardOf(name).index
  const left = (kind: string) =>
    ids(8)
      .map((id) => `${kind}/${id}`)
      .filter((name) => indexOf(name) === 1)
  expect([left('order').length, left('paid').length].map((count) => count % 8 > 0)).toEqual([
    true,
    true,
  ])

  failNextSync(s.disk)
  for (const key of ids(8)) await s.during(codeOf(s.app.store.put(key, 1)))
  expect(s.app.health().shards.map(({ phase }) => phase)).toEqual(['down', 'open'])

  const { parked, overdue } = s.app.health().actors
  expect([parked.count, namesOf(parked)]).toEqual([left('paid').length, left('paid')])
  expect([overdue.count, namesOf(overdue)]).toEqual([left('order').length, left('order')])
  expect([...s.app.entity(paid).blocked().keys()]).toEqual(
    left('paid').map((name) => name.slice('paid/'.length)),
  )
})
