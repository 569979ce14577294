/** The past of durable workers. */
import { expect, test } from 'vitest'
import {
  call,
  type DurableServer,
  name,
  reply,
  type StatusParts,
  supervisor,
  worker,
} from '../../../src/index.ts'
import { historyWords } from '../../../src/inspect/prompt/history-words.ts'
import { ShownValues } from '../../../src/inspect/prompt/shown-values.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Messages = { calls: { add: (by: number) => void } }
type State = { readonly total: number; readonly pin: string }

const server = (formatStatus?: (parts: StatusParts<State>) => StatusParts) =>
  ({
    init: () => ({ total: 0, pin: 'canary' }),
    calls: { add: (state, by) => reply(undefined, { ...state, total: state.total + by }) },
    ...(formatStatus && { formatStatus }),
  }) as DurableServer<Messages, State>

/** A worker that hides its pin, and one that hides nothing. */
const world = async () => {
  const hides = ({ state, ...parts }: StatusParts<State>) => ({
    ...parts,
    state: { total: state?.total },
  })
  const s = await simulated({
    app: supervisor('app', {}, [
      worker('till', server(hides as never), { durable: true }),
      worker('open', server(), { durable: true }),
    ]),
  })
  for (const of of ['till', 'open'])
    for (const by of [2, 3]) await s.during(call(s.app.system.to(name<Messages>(of)), 'add', by))
  return s
}

test('are shown as their own servers let them be, with the causes of their turns', async () => {
  const s = await world()

  const { turns } = await s.during(s.app.workerHistory('till', { limit: 2 }))
  const open = await s.during(s.app.workerHistory('open', { limit: 1 }))

  expect(turns.map(({ state }) => state)).toEqual([{ total: 5 }, { total: 2 }])
  expect(turns[0]).toMatchObject({ cause: { message: 'call add' }, changed: ['total'] })
  expect(open.turns[0]?.state).toEqual({ total: 5, pin: 'canary' })
  const [last, first] = turns.map(({ lsn }) => lsn) as [number, number]
  expect(await s.during(s.app.workerDiff('till', first, last))).toEqual([
    { path: 'total', before: 2, after: 5 },
  ])
  const revealed = await s.during(s.app.workerHistory('till', { reveal: true }))
  expect(revealed.turns[0]?.state).toEqual({ total: 5, pin: 'canary' })
})

test('of a worker that is out of the tree are type and length', async () => {
  const s = await world()
  await s.close()
  await s.start({ app: supervisor('app', {}, []) })

  const { turns } = await s.during(s.app.workerHistory('open'))

  expect(turns[0]?.state).toBe('[hidden object of 2]')
  expect((await s.during(s.app.workerHistory('nobody'))).turns).toEqual([])
  await expect(s.app.workerHistory('')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
})

test('are words of the prompt: their kind is $worker', async () => {
  const s = await world()
  const words = historyWords(s.app, new ShownValues(false))

  const { text } = await s.during(words.history('$worker/till', { limit: 1 }))
  const line = /^history\(.*\)(?= continues$)/m.exec(text)?.[0]

  expect(text).toContain('call add')
  expect(text).not.toContain('canary')
  expect(line).toMatch(/^history\('\$worker', 'till', \{ before: /)
  const [last, first] = (await s.during(s.app.workerHistory('till'))).turns.map(({ lsn }) => lsn)
  expect((await s.during(words.diff('$worker', 'till', first, last))).text).toMatch(/total +2 +5/)
})
