/** A durable worker on the page: its state and its turns, as those of an entity. */
import { expect, onTestFinished, test } from 'vitest'
import { call, type DurableServer, name, reply, supervisor, worker } from '../../../src/index.ts'
import { Observer } from '../../../src/inspect/observe/observer.ts'
import type { EntityDetail, History, Past, ProcessDetail } from '../../../src/observe/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Messages = { calls: { add: (by: number) => void } }
type State = { readonly total: number; readonly pin: string }

const server: DurableServer<Messages, State, Record<never, never>, string> = {
  init: () => ({ total: 0, pin: 'canary' }),
  calls: { add: (state, by) => reply(undefined, { ...state, total: state.total + by }) },
  formatStatus: ({ state, ...parts }) => ({ ...parts, state: { total: state?.total } }),
}

const till = { kind: '$worker', id: 'till' }

const world = async () => {
  const app = supervisor('app', {}, [worker('till', server, { durable: true, arg: '' })])
  const s = await simulated({ app })
  const ref = s.app.system.to(name<Messages>('till'))
  for (const by of [2, 3]) await s.during(call(ref, 'add', by))
  const observer = new Observer(s.app, { isWriting: true, user: 'ann' })
  onTestFinished(() => observer.end())
  const look = async <T>(look: string, query: Readonly<Record<string, string>>): Promise<T> => {
    const answered = await s.during(observer.answer({ id: 1, look, query } as never))
    return (answered as { answer: { data: T } }).answer.data
  }
  return { s, ref, look }
}

test('shows its state now, its turns, and the state after one, as its server lets it be shown', async () => {
  const { ref, look } = await world()

  const { pid, born } = await look<EntityDetail>('entity', till)
  const { turns } = await look<History>('history', till)
  const first = turns.at(-1)?.lsn
  const past = await look<Past>('past', { ...till, lsn: `${first}` })

  expect([pid, born?.seq]).toEqual([ref.pid, 2])
  expect(turns.map(({ cause }) => cause)).toEqual(['call add', 'birth, call add'])
  expect(past.lsn).toBe(first)
  const all = JSON.stringify([born, turns, past])
  expect(all).toContain('["total",5]')
  expect(all).toContain('["total",2]')
  expect(all).not.toContain('canary')
})

test('its process leads to it', async () => {
  const { ref, look } = await world()

  const { entity } = await look<ProcessDetail>('process', { pid: `${ref.pid}` })

  expect(entity).toEqual(till)
})

test('a worker that is unknown is unborn', async () => {
  const { look } = await world()

  expect(await look<EntityDetail>('entity', { kind: '$worker', id: 'nobody' })).toEqual({
    failures: [],
  })
})
