/** Entries that durable actors journal: durable with their turn, or not at all. */

import { expect, test } from 'vitest'
import {
  call,
  type DurableServer,
  type EntryInput,
  entity,
  noReply,
  reply,
  type StoredEntry,
  supervisor,
} from '../../../src/index.ts'
import type { startSimulated } from '../../../src/testing/index.ts'
import { codeOf, simulated } from '../../support/worlds/simulated-instance.ts'

type Messages = {
  calls: {
    /** Journals the entries, and adds `by` to the count, or throws. */
    add: (turn: { entries: readonly EntryInput[]; by?: number; fails?: boolean }) => number
    /** Journals the entry in a step of its own, which follows this turn. */
    later: (entry: EntryInput) => number
  }
  continues: { journal: (entry: EntryInput) => void }
}

const counter: DurableServer<Messages, number> = {
  init: () => 0,
  calls: {
    add: (count, { entries, by = 1, fails = false }, context) => {
      for (const entry of entries) context.journal(entry)
      if (fails) throw new Error('after it has journaled')
      return reply(count + by, count + by)
    },
    later: (count, entry) => reply(count, count, { continue: ['journal', entry] }),
  },
  continues: {
    journal: (count, entry, context) => {
      context.journal(entry)
      return noReply(count)
    },
  },
}

const counters = entity('counter', counter)
const entry = (id: string, command: unknown = id): EntryInput => ({ id, type: 'add', command })

const world = async (options: Partial<Parameters<typeof startSimulated>[0]> = {}) => {
  const s = await simulated({ app: supervisor('app', {}, [counters]), ...options })
  const journaled = async (): Promise<StoredEntry[]> => {
    const found: StoredEntry[] = []
    for await (const each of s.app.journal.entries()) found.push(each)
    return found
  }
  const ids = async () => (await s.during(journaled())).map(({ id }) => id)
  const ref = s.app.entity(counters).ref('1')
  return { s, ref, ids, journaled, state: () => s.app.entity(counters).state('1') }
}

test('entries of a turn are read back in its frame, each with a place of its own', async () => {
  const { s, ref, journaled } = await world()

  expect(await s.during(call(ref, 'add', { entries: [entry('a'), entry('b')] }))).toBe(1)
  await s.during(s.app.journal.append(entry('c')))

  const found = await s.during(journaled())
  expect(found.map(({ id, index }) => [id, index])).toEqual([
    ['a', 0],
    ['b', 1],
    ['c', 0],
  ])
  expect(found[0]?.lsn).toBe(found[1]?.lsn)
})

test('a turn that only journals is durable too', async () => {
  const { s, ref, ids } = await world()
  await s.during(call(ref, 'add', { entries: [entry('a')], by: 0 }))
  expect(await ids()).toEqual(['a'])
})

test('an id with other content refuses the turn: neither state nor entries are there', async () => {
  const { s, ref, ids, state } = await world()
  await s.during(s.app.journal.append(entry('a')))

  const refused = call(ref, 'add', { entries: [entry('b'), entry('a', 'else')] })
  expect(await s.during(codeOf(refused))).toBe('CONFLICT')
  expect([await ids(), state()]).toEqual([['a'], undefined])

  expect(await s.during(call(ref, 'add', { entries: [entry('a'), entry('b')] }))).toBe(1)
  expect([await ids(), state()]).toEqual([['a', 'b'], 1])
})

test('a turn that throws journals nothing, and an entry that cannot be stored throws', async () => {
  const { s, ref, ids } = await world()
  await s.during(codeOf(call(ref, 'add', { entries: [entry('a')], fails: true })))
  await s.during(codeOf(call(ref, 'add', { entries: [entry('b', () => 1)] })))
  expect(await ids()).toEqual([])
})

test('a turn that journals is refused until a required replay has ended, and a step waits', async () => {
  const { s, ref, ids, state } = await world({ journal: { replay: 'required' } })

  const early = call(ref, 'add', { entries: [entry('a')] })
  await expect(s.during(early)).rejects.toMatchObject({
    code: 'BUSY',
    details: { state: 'replaying' },
  })
  expect(await s.during(call(ref, 'add', { entries: [], by: 2 }))).toBe(2)
  await s.during(call(ref, 'later', entry('step')))
  await s.clock.advance(1_000)
  expect([await ids(), state()]).toEqual([[], 2])

  await s.during(s.app.journal.replay({ handler: () => undefined }))
  expect(await s.during(call(ref, 'add', { entries: [entry('a')] }))).toBe(3)
  await s.clock.advance(60_000)
  expect(await ids()).toEqual(['a', 'step'])
})
