/** The causes of past turns, as the turns record them. */
import { expect, test } from 'vitest'
import { fromPromise, setup } from 'xstate'
import {
  call,
  cast,
  type DurableServer,
  entity,
  type GenServer,
  noReply,
  type Ref,
  reply,
  supervisor,
  sys,
} from '../../../src/index.ts'
import { type MessagesOf, StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

/** A name that no cause can hold whole. */
const long = 'x'.repeat(100)

type Messages = {
  calls: {
    pay: () => string
    later: () => void
    forget: (step: string) => void
    ignore: () => void
    work: () => void
    close: () => void
  }
  casts: { drop: (step: string) => void }
  continues: { charge: () => void; mail: () => void; [long]: () => void }
  alarms: { remind: () => void }
}

const order: DurableServer<Messages, number> = {
  retry: { max: 1, continues: { mail: { max: 2, baseMs: 1 } } },
  init: () => 0,
  calls: {
    pay: (state, _, context) => reply(context.addContinue('charge'), state + 1),
    later: (state, _, context) => {
      context.setAlarm('remind', { inMs: 10 })
      return reply(undefined, state + 1, { continue: [long] })
    },
    forget: (state, step, context) => {
      context.cancelContinue(step)
      context.addContinue('mail')
      return reply(undefined, state + 1)
    },
    ignore: (state, _, context) => {
      context.cancelAlarm('remind')
      return reply(undefined, state + 1)
    },
    work: (state, _, context) => {
      context.background(async (life) => {
        await life.apply((now) => noReply(now + 1))
      })
      return reply(undefined, state)
    },
    close: (state, _, context) => {
      context.end({ keepMs: 10 })
      return reply(undefined, state + 1)
    },
  },
  casts: {
    drop: (state, step, context) => {
      context.cancelContinue(step)
      return noReply(state + 1)
    },
  },
  continues: {
    charge: () => {
      throw new Error('the bank is closed')
    },
    mail: () => {
      throw new Error('no mail today')
    },
    [long]: (state) => noReply(state + 1),
  },
  alarms: {
    remind: () => {
      throw new Error('nobody listens')
    },
  },
  onFailed: (state, { name, error }) => {
    if (name === 'mail') return noReply(state + 1)
    throw error
  },
}

const ticket = setup({
  types: {} as { events: { readonly type: 'TAKE' } | { readonly type: 'CLOSE' } },
  actors: { check: fromPromise(async () => 7) },
}).createMachine({
  initial: 'open',
  states: {
    open: { on: { TAKE: 'taken' } },
    taken: {
      invoke: { id: 'check', src: 'check', onDone: 'checked' },
    },
    checked: { on: { CLOSE: 'closed' } },
    closed: {},
  },
})

const tickets = StateMachine.durable(ticket, { answers: { CLOSE: ({ value }) => value } })

const world = async () => {
  const s = await simulated({
    app: supervisor('app', {}, [entity('order', order), entity('ticket', tickets)]),
  })
  const kind = s.app.entity<Messages, number>('order')
  const causes = async (of = 'order') =>
    (await s.during(s.app.entity(of).history('17'))).turns.map(({ cause }) => cause).reverse()
  return { s, kind, ref: kind.ref('17'), causes }
}

const stack = expect.stringContaining('turn-causes.test.ts')
const closed = { name: 'Error', message: 'the bank is closed', stack }
const failed = { kind: 'step', name: 'charge', message: 'continue charge', error: closed }

test('a step that a call or a cast takes back has not run', async () => {
  const { s, ref, causes } = await world()
  const first = await s.during(call(ref, 'pay'))
  await s.during(call(ref, 'forget', first))
  const second = await s.during(call(ref, 'pay'))
  cast(ref, 'drop', second)
  await s.advance(100)

  const found = await causes()

  const parked = { ...failed, message: 'onFailed of continue charge' }
  const mail = { kind: 'step', name: 'mail', message: 'continue mail' }
  const error = { name: 'Error', message: 'no mail today', stack }
  expect(found).toEqual([
    { kind: 'birth', message: 'call pay' },
    failed,
    parked,
    { kind: 'call', message: 'call forget' },
    { ...mail, error },
    { ...mail, error },
    { ...mail, message: 'onFailed of continue mail' },
    { kind: 'call', message: 'call pay' },
    failed,
    parked,
    { kind: 'message', message: 'cast drop' },
  ])
})

test('the name of a step is whole, and an alarm that is taken back has not fired', async () => {
  const { s, ref, causes } = await world()
  await s.during(call(ref, 'later'))
  await s.advance(100)
  await s.during(call(ref, 'ignore'))

  const error = { name: 'Error', message: 'nobody listens', stack }
  expect(await causes()).toEqual([
    { kind: 'birth', message: 'call later' },
    { kind: 'step', name: long, message: `continue ${'x'.repeat(48)}…` },
    { kind: 'alarm', name: 'remind', message: 'alarm remind', error },
    { kind: 'alarm', name: 'remind', message: 'onFailed of alarm remind', error },
    { kind: 'call', message: 'call ignore' },
  ])
})

test('what an operator asks for has the words of the one who asks', async () => {
  const { s, kind, ref, causes } = await world()
  await s.during(call(ref, 'pay'))
  await s.advance(1)
  await s.during(kind.retryStep('17', 'charge'))
  await s.advance(100)
  await s.during(kind.unblock('17'))
  await s.advance(100)
  await s.during(sys.replaceState(ref, () => 7))

  const told = (await causes()).filter(({ kind: of }) => of === 'message')
  expect(told.map(({ message }) => message)).toEqual([
    'retryStep charge',
    'unblock',
    'replaceState',
  ])
})

test('the process that called has its name, and no number that another one may have', async () => {
  const { s, ref, causes } = await world()
  const caller: GenServer<{ calls: { ask: (of: Ref<Messages>) => void } }, undefined> = {
    kind: 'clerk',
    init: () => undefined,
    calls: {
      ask: async (state, of, context) => {
        await call(context.to(of), 'pay')
        return reply(undefined, state)
      },
    },
  }
  const clerk = await s.during(s.app.system.start(caller, undefined, { name: 'clerk' as never }))
  const nameless = await s.during(s.app.system.start(caller, undefined))
  await s.during(call(clerk, 'ask', ref))
  await s.during(call(nameless, 'ask', ref))
  // Background work of an actor is no other process to its user.
  await s.during(call(ref, 'work'))
  await s.advance(1)

  const found = (await causes()).filter(({ kind: of }) => of !== 'step')
  expect(found).toEqual([
    { kind: 'birth', message: 'call pay', by: 'clerk' },
    { kind: 'call', message: 'call pay', by: expect.stringMatching(/^clerk <\d+>$/) },
    { kind: 'message', message: 'apply' },
  ])
})

test('the end of an actor is told from its removal by somebody', async () => {
  const { s, kind, ref, causes } = await world()
  await s.during(call(ref, 'close'))
  await s.advance(1_000)
  await s.during(call(ref, 'pay'))
  await s.during(kind.delete('17'))

  const ends = (await causes()).filter(({ kind: of }) => of === 'end')
  expect(ends.map(({ message }) => message)).toEqual(['end', 'delete'])
})

test('a machine says which event it handled', async () => {
  const { s, causes } = await world()
  const ref = s.app.entity<MessagesOf<typeof tickets>>('ticket').ref('17')
  StateMachine.send(ref, { type: 'TAKE' })
  await s.advance(10)
  await s.during(StateMachine.call(ref, { type: 'CLOSE' }))

  expect(await causes('ticket')).toEqual([
    { kind: 'birth', message: 'event TAKE' },
    { kind: 'message', message: 'event xstate.promise.resolve of check' },
    { kind: 'call', message: 'call CLOSE' },
  ])
})
