/** Alarms and steps of an entity whose program has lost a handler, beside those that it has. */
import { expect, test } from 'vitest'
import { call, type DurableServer, entity, noReply, reply, supervisor } from '../../../src/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Messages = {
  calls: { set: () => void; done: () => readonly string[] }
  continues: { charge: () => void; tell: () => void }
  alarms: { lost: () => void; kept: () => void }
}

const server: DurableServer<Messages, readonly string[]> = {
  init: () => [],
  calls: {
    set: (done, _, context) => {
      context.setAlarm('lost', { inMs: 1_000 })
      context.setAlarm('kept', { inMs: 2_000 })
      context.addContinue('charge')
      context.addContinue('tell')
      return reply(undefined, done)
    },
    done: (done) => reply(done, done),
  },
  continues: {
    charge: () => {
      throw new Error('the bank is away')
    },
    tell: (done) => noReply([...done, 'told']),
  },
  alarms: {
    lost: (done) => noReply([...done, 'lost']),
    kept: (done) => noReply([...done, 'kept']),
  },
}

test('an alarm and a step that wait for their handlers hold up no other ones', async () => {
  const whole = entity('clock', server, { idleMs: 1_000 })
  const { lost: _, ...alarms } = server.alarms ?? {}
  const { charge: __, ...continues } = server.continues ?? {}
  const less = entity('clock', { ...server, alarms, continues } as never as typeof server, {
    idleMs: 1_000,
  })
  const s = await simulated({ app: supervisor('app', {}, [whole]) })
  await s.during(call(s.app.entity(whole).ref('a'), 'set'))
  await s.close()

  await s.start({ app: supervisor('app', {}, [less]) })
  await s.advance(60_000)

  expect(await s.during(call(s.app.entity(less).ref('a'), 'done'))).toEqual(['told', 'kept'])
  await s.close()
})
