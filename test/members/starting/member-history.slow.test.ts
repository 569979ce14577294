/** The past of a durable actor of a member: its log is in the engine, and is read through its port. */
import { expect, test } from 'vitest'
import {
  type App,
  call,
  type DurableServer,
  entity,
  type PastOptions,
  type PastTurn,
  reply,
  supervisor,
} from '../../../src/index.ts'
import { Members } from '../../support/worlds/members.ts'

type State = { readonly cents: number; readonly note: string }
type Messages = { calls: { add: (cents: number) => number } }

/** The frames of a stretch are more than one request reads. */
const note = 'n'.repeat(12_000)

const account: DurableServer<Messages, State> = {
  init: () => ({ cents: 0, note }),
  calls: { add: ({ cents }, more) => reply(cents + more, { cents: cents + more, note }) },
}
const app = supervisor('app', {}, [entity('account', account)])

/** 140 turns of account 7 in a row, and 10 of another one. */
const filled = async (members: Members, instance: App): Promise<App> => {
  const kind = instance.entity<Messages, State>('account')
  for (let at = 0; at < 150; at++)
    await members.during(call(kind.ref(at < 140 ? '7' : 'other'), 'add', at))
  return instance
}

const past = async (members: Members, instance: App, options: PastOptions) => {
  const kind = instance.entity<Messages, State>('account')
  const turns: PastTurn<State>[] = []
  let before: string | undefined
  let page: Awaited<ReturnType<typeof kind.history>>
  do {
    page = await members.during(kind.history('7', { ...options, ...(before && { before }) }))
    turns.push(...page.turns)
    before = page.cursor
  } while (before !== undefined)
  return { turns, isCut: page.isCut }
}

/** What does not depend on the time and on the LSNs of a log. */
const shown = (turns: readonly PastTurn<State>[]) =>
  turns.map(({ state, changed, cause }) => ({ cents: state?.cents, changed, cause }))

test('the history of an actor is that of a local log, page by page, and as of an earlier LSN', async () => {
  const members = new Members()
  const local = await filled(members, await members.machine('x').start({ dir: '/data', app }))
  const member = await filled(members, await members.start('a', { app }))

  const all = await past(members, local, { limit: 1_000 })
  expect(all.turns).toHaveLength(140)
  const found = await past(members, member, { limit: 60 })
  expect(shown(found.turns)).toEqual(shown(all.turns))
  expect(found.isCut).toBe(false)
  const atLsn = found.turns[100]?.lsn ?? 0
  const earlier = await past(members, member, { limit: 60, atLsn })
  expect(shown(earlier.turns)).toEqual(shown(found.turns.slice(100)))
  await members.during(local.close())
})
