/** A durable actor, whose rows another program judges. */
import { expect, test } from 'vitest'
import { actorVerdicts, storedActors } from '../../../src/actors/index.ts'
import { durableTable } from '../../../src/actors/turns/durable-table.ts'
import { call, type DurableServer, entity, noReply, reply, supervisor } from '../../../src/index.ts'
import { durableActors } from '../../../src/supervisors/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Messages = {
  calls: { set: (name: string) => void }
  continues: { mail: () => void }
  alarms: { remind: () => void }
}
type Server = DurableServer<Messages, string, { name: string }, string, unknown>

const account = (changes: Partial<Server> = {}): Server => ({
  version: 1,
  init: () => '',
  index: (name) => ({ name }),
  calls: {
    set: (_, name, context) => {
      context.setAlarm('remind', { inMs: 86_400_000 })
      return reply(undefined, name)
    },
  },
  continues: { mail: (name) => noReply(name) },
  alarms: { remind: (name) => noReply(name) },
  ...changes,
})

/** The verdicts of a server about an account that has a name and an alarm. */
const judged = async (changes: Partial<Server>, keepMs?: number) => {
  const s = await simulated({ app: supervisor('app', {}, [entity('account', account())]) })
  await s.during(call(s.app.entity<Messages>('account').ref('1'), 'set', 'anna'))
  const [page] = storedActors(s.app[durableActors].entities)
  const [stored] = page?.actors ?? []
  if (!stored) throw new Error('it has no row')
  expect([stored.kind, stored.id]).toEqual(['account', '1'])
  const table = durableTable(account(changes))
  return actorVerdicts(stored, { table, keepMs, hasKind: () => true })
}

test('the server that wrote an actor has no verdict about it', async () => {
  expect(await judged({})).toEqual([])
})

test('an index with another value is noted, as lists find the old one', async () => {
  const found = await judged({ index: (name) => ({ name: name.toUpperCase() }) })

  expect(found).toMatchObject(
    [{ level: 'notes', what: 'index needs migrateAll', reason: /name$/ }].map((each) => ({
      ...each,
      reason: expect.stringMatching(each.reason),
    })),
  )
})

test('an index that throws blocks the actor, as a failing migrate does', async () => {
  const fails = () => {
    throw new Error('a mistake')
  }

  expect(await judged({ index: fails })).toMatchObject([{ level: 'blocks', what: 'BLOCKED' }])
  expect(await judged({ version: 2, migrate: fails })).toMatchObject([
    { level: 'blocks', what: 'BLOCKED', reason: expect.stringContaining('a mistake') },
  ])
})

test.each([
  ['is too large', () => 'x'.repeat(2_000_000), 'TOO_LARGE'],
  ['cannot be stored', () => (() => 1) as never, 'INVALID_ARGUMENT'],
])('a migrated state that %s blocks the actor', async (_, migrate, what) => {
  const index = () => ({ name: 'anna' })

  expect(await judged({ version: 2, migrate, index })).toMatchObject([{ level: 'blocks', what }])
})

test('an entity that is final now would end, if its kind says how long it is kept', async () => {
  const isFinal = () => true

  expect(await judged({ isFinal }, 0)).toMatchObject([{ level: 'acts', what: 'would end' }])
  expect(await judged({ isFinal })).toEqual([])
})

test('an alarm without a handler is named', async () => {
  expect(await judged({ alarms: {} as never })).toMatchObject([
    { level: 'blocks', what: 'no handler', reason: 'there is no alarm remind' },
  ])
})
