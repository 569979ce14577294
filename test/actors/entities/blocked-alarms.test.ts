/** Alarms and steps of rows that could not be used: they run once the row can be. */

import { describe, expect, test } from 'vitest'
import * as Alarms from '../../../src/actors/entities/alarms.ts'
import {
  call,
  type DurableServer,
  entity,
  type GenServer,
  name,
  noReply,
  reply,
  supervisor,
  sys,
  worker,
} from '../../../src/index.ts'
import { slowKind } from '../../support/harm/slow-alarms.ts'
import { codeOf, simulated } from '../../support/worlds/simulated-instance.ts'

type Messages = {
  calls: { set: (inMs: number) => void; charge: () => void; done: () => string }
  continues: { charge: () => void }
  alarms: { one: () => void }
}

let isBankAway = true

/** Its state is the list of what was done. */
const server: DurableServer<Messages, string> = {
  retry: { max: 3 },
  init: () => '',
  calls: {
    set: (done, inMs, context) => {
      context.setAlarm('one', { inMs })
      return reply(undefined, done)
    },
    charge: (done) => reply(undefined, done, { continue: ['charge'] }),
    done: (done) => reply(done, done),
  },
  continues: {
    charge: (done) => {
      if (isBankAway) throw new Error('the bank is away')
      return noReply(`${done} charged`)
    },
  },
  alarms: { one: (done) => noReply(`${done} fired`) },
}

let isRefused = true
const strict: DurableServer<Messages, string> = {
  ...server,
  version: 2,
  migrate: (done) => {
    if (isRefused) throw new Error('not this one')
    return done as string
  },
}

const lenient = entity('clock', server, { idleMs: 1_000 })
const stricter = entity('clock', strict, { idleMs: 1_000 })

test('a row whose kind or worker is out of the tree is not asked for, until it runs again', async () => {
  const lone = worker('lone', server, { durable: true })
  const s = await simulated({ app: supervisor('app', {}, [lenient, lone]) })
  await s.during(call(s.app.entity(lenient).ref('a'), 'set', 5_000))
  await s.during(call(s.system.to(name<Messages>('lone')), 'set', 5_000))
  await s.close()
  await s.start({ app: supervisor('app', {}, []) })
  await s.advance(10_000)
  const state = await s.during(sys.getState(s.system.to(Alarms.name(0))))
  const { asking, later, walkAt } = state as Readonly<
    Record<'asking' | 'later', Map<string, unknown>>
  > & { readonly walkAt: number }
  expect([asking.size, later.size, walkAt]).toEqual([0, 0, Number.POSITIVE_INFINITY])
  expect(s.app.health().actors.overdue.count).toBe(0)
  await s.advance(10_000)
  expect(s.app.health().actors.overdue.first.map(({ entity: of, what }) => [of, what])).toEqual([
    ['clock/a', 'alarm one'],
    ['$worker/lone', 'alarm one'],
  ])

  await s.close()
  await s.start({ app: supervisor('app', {}, [lenient, lone]) })
  await s.advance(1_000)
  expect(s.app.entity(lenient).state('a')).toBe(' fired')
  expect(await s.during(call(s.system.to(name<Messages>('lone')), 'done'))).toBe(' fired')
})

test('a process that has the name of a former durable worker is not asked for its rows', async () => {
  const plain: GenServer<{ calls: { done: () => string } }, string> = {
    init: () => 'plain',
    calls: { done: (state) => reply(state, state) },
  }
  isBankAway = true
  const s = await simulated({
    app: supervisor('app', {}, [worker('lone', server, { durable: true })]),
  })
  const lone = () => s.system.to(name<Messages>('lone'))
  await s.during(call(lone(), 'set', 60_000))
  await s.during(call(lone(), 'charge'))
  await s.advance(40_000)
  expect(s.app.health().actors.parked.count).toBe(1)
  await s.close()
  await s.start({ app: supervisor('app', {}, [worker('lone', plain, { name: 'lone' })]) })
  const { pid } = lone()
  await s.advance(60_000)
  expect(lone().pid).toBe(pid)
  expect(await s.during(codeOf(s.app.unblockWorker('lone')))).toBe('NO_PROCESS')
  expect(await s.during(call(lone(), 'done'))).toBe('plain')
  expect(lone().pid).toBe(pid)
})

describe('an entity that was blocked', () => {
  /** An alarm of one entity and a step of another become due while both are blocked. */
  const blocked = async (others: readonly ReturnType<typeof slowKind>[] = []) => {
    isBankAway = isRefused = true
    const s = await simulated({ app: supervisor('app', {}, [lenient]) })
    await s.during(call(s.app.entity(lenient).ref('alarm'), 'set', 5_000))
    await s.during(call(s.app.entity(lenient).ref('step'), 'charge'))
    await s.settle()
    await s.close()
    await s.start({ app: supervisor('app', {}, [stricter, ...others]) })
    await s.advance(20_000)
    const handle = s.app.entity(stricter)
    expect([...handle.blocked().keys()].sort()).toEqual(['alarm', 'step'])
    const done = () => ['alarm', 'step'].map((id) => handle.state(id))
    isBankAway = isRefused = false
    expect(done()).toEqual(['', ''])
    return { s, handle, done }
  }

  test('does at once what became due until it is unblocked', async () => {
    const { s, handle, done } = await blocked()

    expect(await Promise.all(['alarm', 'step'].map((id) => handle.unblock(id)))).toEqual([
      true,
      true,
    ])
    await s.advance(1_500)

    expect(done()).toEqual([' fired', ' charged'])
    expect(await handle.unblock('alarm')).toBe(false)
  })

  test('does so too if a walk over due rows is under way', async () => {
    const slow = slowKind()
    const { s, handle, done } = await blocked([slow])
    const wait = { inMs: 10_000, ms: 60_000 }
    const set = (id: string) => call(s.app.entity(slow).ref(id), 'set', wait)
    await s.during(Promise.all(Array.from({ length: 100 }, (_, at) => set(`slow${at}`))))
    // 64 of them are asked, and the others wait for their places.
    await s.advance(10_020)

    await handle.unblock('alarm')
    await s.advance(5_000)

    expect(done()[0]).toBe(' fired')
  })

  test('and wakes by itself does the same', async () => {
    const { s, handle, done } = await blocked()
    await s.advance(5_000)

    for (const id of ['alarm', 'step']) await s.during(call(handle.ref(id), 'done'))
    await s.advance(1_500)

    expect(done()).toEqual([' fired', ' charged'])
  })
})
