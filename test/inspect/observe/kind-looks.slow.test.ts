/** The kinds of the page: how many actors of each are in trouble, and the list of each trouble. */
import { expect, onTestFinished, test } from 'vitest'
import { flows, workflow } from '../../../src/flow/index.ts'
import {
  call,
  type DurableServer,
  entity,
  noReply,
  ok,
  reply,
  supervisor,
} from '../../../src/index.ts'
import { Observer } from '../../../src/inspect/observe/observer.ts'
import type { Flows, Kind, KindPage } from '../../../src/observe/index.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Order = { readonly customer: string; readonly status: string }

type Messages = {
  calls: { charge: () => void; wake: (inMs: number) => void }
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
  continues: {
    charge: () => {
      throw new Error('the bank is away')
    },
  },
  alarms: { ring: (count) => noReply(count) },
  retry: { max: 1 },
}

const kinds = ['early', 'late'].map((kind) => entity(kind, server))
const ids = Array.from({ length: 12 }, (_, at) => `${at}`.padStart(2, '0'))

const world = async () => {
  const s = await simulated({ app: supervisor('app', {}, kinds) })
  const look = async <T>(view: 'entities' | 'kind', query: object): Promise<T> => {
    const observer = new Observer(s.app, { isWriting: false, user: 'ann' })
    onTestFinished(() => observer.end())
    const answered = await s.during(observer.answer({ id: 1, look: view, query }))
    return (answered as { answer: { data: T } }).answer.data
  }
  const countsOf = async (trouble: 'parked' | 'blocked' | 'overdue') =>
    (await look<{ kinds: readonly Kind[] }>('entities', {})).kinds.map((kind) => kind[trouble])
  const list = async (kind: string, only: string) =>
    (await look<KindPage>('kind', { kind, only })).rows
  const ask = (kind: string, name: 'charge' | 'wake', inMs: number) =>
    s.during(
      Promise.all(ids.map((id) => call(s.app.entity(kind).ref(id), name as never, inMs as never))),
    )
  return { s, countsOf, list, ask }
}

test('the list of parked actors has those that are counted, and that of blocked ones has none of them', async () => {
  const { s, countsOf, list, ask } = await world()
  await ask('early', 'charge', 0)
  await s.advance(100)

  expect([await countsOf('parked'), await countsOf('blocked')]).toEqual([
    [12, 0],
    [0, 0],
  ])
  const rows = await list('early', 'parked')
  expect(rows.map(({ id }) => id)).toEqual(ids)
  expect(rows[0]?.text).toContain('charge after try 1: Error: the bank is away')
  expect(await list('early', 'blocked')).toEqual([])
  expect(await list('late', 'parked')).toEqual([])
})

test('all overdue alarms of a kind are counted and listed, also behind very many of another one', async () => {
  const { s, countsOf, list, ask } = await world()
  await ask('early', 'wake', 5_000)
  await ask('late', 'wake', 6_000)
  await s.close()
  const newer = ['early', 'late'].map((kind) => entity(kind, { ...server, version: 2 }))
  await s.start({ app: supervisor('app', {}, newer) })
  await s.advance(60_000)

  expect(await countsOf('overdue')).toEqual([12, 12])
  expect((await list('late', 'overdue')).map(({ id, text }) => [id, text])).toEqual(
    ids.map((id) => [id, 'alarm ring']),
  )
})

test('a member of a folder shows the actors and schedules of all members', async () => {
  const members = new FolderMembers(['a', 'b'])
  const tree = () =>
    supervisor('app', {}, [
      entity('early', server),
      flows({ workflows: [workflow('w', async () => 1)] }),
    ])
  const [a, b] = await members.start(undefined, () => ({ app: tree() }))
  for (const id of ids)
    await members.during(call(a?.entity('early').ref(id) as never, 'wake' as never, 5 as never))
  await members.clock.advance(5_000)
  for (const app of [a, b]) {
    const observer = new Observer(app as never, { isWriting: false, user: 'ann' })
    onTestFinished(() => observer.end())
    const look = async (view: string, query: object) => {
      const answered = await members.during(observer.answer({ id: 1, look: view as never, query }))
      return (answered as { answer: { data: unknown } }).answer.data
    }
    const { kinds } = (await look('entities', {})) as { kinds: readonly Kind[] }
    expect(kinds.map(({ kind }) => kind)).toContain('early')
    const { rows } = (await look('kind', { kind: 'early' })) as KindPage
    expect(rows.map(({ id }) => id)).toEqual(ids)
    // A process of this member only stands for an actor elsewhere.
    const elsewhere = rows.filter(({ id }) => app?.entities.isElsewhere(`early/${id}`))
    expect(elsewhere.length).toBeGreaterThan(0)
    expect(elsewhere.filter(({ pid }) => pid !== undefined)).toEqual([])
    expect((await look('flows', {})) as Flows).toMatchObject({
      silent: [],
      schedules: { rows: [] },
    })
  }
})

test('the list of a kind takes several fields of its index, and one of them alone', async () => {
  const server: DurableServer<{ calls: { end: () => void } }, Order> = {
    init: (id) => ok({ customer: `c-${Number(id) % 2}`, status: 'open' }),
    calls: { end: (state) => reply(undefined, { ...state, status: 'done' }) },
    index: ({ customer, status }) => ({ customer, status }),
  }
  const orders = entity('order', server)
  const s = await simulated({ app: supervisor('app', {}, [orders]) })
  const observer = new Observer(s.app, { isWriting: false, user: 'ann' })
  onTestFinished(() => observer.end())
  const listed = async (query: object): Promise<readonly string[]> => {
    const question = { id: 1, look: 'kind' as const, query: { kind: 'order', ...query } }
    const answered = await s.during(observer.answer(question))
    return (answered as { answer: { data: KindPage } }).answer.data.rows.map(({ id }) => id)
  }
  const { entity: of } = s.app
  await s.during(Promise.all(['1', '2', '3'].map((id) => call(of(orders).ref(id), 'end'))))
  await s.during(call(of(orders).ref('3'), 'end'))
  expect(await listed({ field: 'customer', value: 'c-1' })).toEqual(['1', '3'])
  expect(await listed({ where: 'customer=c-1, status=done' })).toEqual(['1', '3'])
  expect(await listed({ field: 'status', value: 'done', where: 'customer=c-0' })).toEqual(['2'])
  expect(await listed({ where: 'customer=c-0, status=open' })).toEqual([])
})
