/** The volatile timers of an entity: its process does not rest while a message to it is on its way. */
import { expect, test } from 'vitest'
import { call, type DurableServer, entity, noReply, reply, supervisor } from '../../../src/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Messages = {
  calls: { later: (inMs: number) => void; forget: () => void; rung: () => number }
  casts: { rings: () => void }
  infos: { rings: () => void }
}

/** An entity that rests after a second, and counts what its timers brought. */
const world = async () => {
  let ends = 0
  const cancels: (() => unknown)[] = []
  const server: DurableServer<Messages, number> = {
    init: () => 0,
    calls: {
      later: (state, inMs, context) => {
        const timers = [context.sendAfter(inMs, 'rings'), context.castAfter(inMs, 'rings')]
        cancels.push(() => timers.map((timer) => context.cancelTimer(timer)))
        return reply(undefined, state)
      },
      forget: (state) => {
        for (const cancel of cancels.splice(0)) cancel()
        return reply(undefined, state)
      },
      rung: (state) => reply(state, state),
    },
    casts: { rings: (state) => noReply(state + 1) },
    infos: { rings: (state) => noReply(state + 1) },
    terminate: () => void ends++,
  }
  const bell = entity('bell', server, { idleMs: 1_000 })
  const s = await simulated({ app: supervisor('app', {}, [bell]) })
  const ref = () => s.app.entity(bell).ref('1')
  return { s, ref, ends: () => ends }
}

test('a timer beyond the idle time comes, and then the process rests', async () => {
  const { s, ref, ends } = await world()
  await s.during(call(ref(), 'later', 10_000))
  await s.advance(9_000)
  expect(ends()).toBe(0)
  await s.advance(5_000)
  expect(ends()).toBe(1)
  expect(await s.during(call(ref(), 'rung'))).toBe(2)
})

test('a timer that is cancelled holds up no rest', async () => {
  const { s, ref, ends } = await world()
  await s.during(call(ref(), 'later', 3_600_000))
  await s.during(call(ref(), 'forget'))
  await s.advance(3_000)
  expect(ends()).toBe(1)
})

test('a timer ends with its process: a kill takes it along', async () => {
  const { s, ref } = await world()
  await s.during(call(ref(), 'later', 10_000))
  s.app.system.exit(ref(), 'kill')
  await s.advance(20_000)
  expect(await s.during(call(ref(), 'rung'))).toBe(0)
})
