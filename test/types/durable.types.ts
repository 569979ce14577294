/** Compiled, never run: what the types of durable actors let through, and what they refuse. */
import {
  type App,
  type AppContext,
  call,
  cast,
  type DurableContext,
  type DurableServer,
  type EntityHandle,
  entity,
  noReply,
  ok,
  type Ref,
  reply,
  stopReply,
  supervisor,
  worker,
} from '../../src/index.ts'

type Order = { readonly cents: number; readonly status: 'placed' | 'paid' }
type Messages = {
  calls: { place: (order: { cents: number }) => 'placed' | 'exists'; status: () => string }
  casts: { cancel: (why: string) => void }
  infos: { tick: () => void }
  continues: { charge: (bank: string) => void; mail: () => void }
  alarms: { unpaid: () => void; remind: (text: string) => void }
}
type Fields = { status: 'placed' | 'paid' | undefined; cents: number | undefined }

declare const app: App
declare const context: DurableContext<Messages>
declare const outside: AppContext

/** A server in which every parameter is inferred. */
export const server: DurableServer<Messages, Order | undefined, Fields> = {
  version: 2,
  migrate: (state, from) => (from === 1 ? (state as Order) : undefined),
  init: (id) => ok(undefined, { continue: ['charge', id.trim()] }),
  calls: {
    place: (state, { cents }, { id, step, setAlarm, writes, from, app: within }) => {
      if (state) return reply('exists', state)
      setAlarm('unpaid', { inMs: 5 })
      setAlarm('remind', { at: 5 }, id.concat(step))
      writes.put('{order/1}:a', cents)
      from.reply('placed')
      const other: Ref<Messages> = within.entity(orders).ref('2')
      cast(other, 'cancel', 'never')
      return noReply({ cents: cents.valueOf(), status: 'placed' }, { continue: ['charge', 'bank'] })
    },
    status: (state) => stopReply('normal', state?.status ?? 'none', state),
  },
  casts: { cancel: (state, why) => noReply(why === '' ? state : undefined) },
  infos: { tick: (state) => noReply(state) },
  continues: {
    charge: async (state, bank) => noReply(bank.length > 0 ? state : undefined),
    mail: (state, _, own) => {
      own.background(async (life) => {
        const cents: number = await life.apply((now, turn) => {
          turn.setAlarm('unpaid', { inMs: 5 })
          const next: Order = { cents: now?.cents ?? 0, status: 'paid' }
          return reply(next.cents, next, { continue: ['mail'] })
        })
        const nothing: undefined = await life.apply(() => noReply(undefined))
        await life.app.store.put('a', `${cents}${nothing}${life.signal.aborted}`)
        // @ts-expect-error: not a state
        await life.apply(() => noReply('paid'))
        // @ts-expect-error: a change is made in one go
        await life.apply(async (now) => noReply(now))
      })
      const step: string = own.addContinue('charge', 'bank')
      const isGone: boolean = own.cancelContinue(step)
      return noReply(isGone ? state : undefined)
    },
  },
  alarms: {
    unpaid: (state, _, own) => {
      const wasSet: boolean = own.cancelAlarm('remind')
      return noReply(wasSet ? state : undefined)
    },
    remind: (state, text) => noReply(text.length > 0 ? state : undefined),
  },
  index: (state) => ({ status: state?.status, cents: state?.cents }),
  wake: (state) => void state?.cents,
}

const orders = entity('order', server, { idleMs: 5, pipeline: 2, keepIds: { newest: 5 } })

export const uses = async (): Promise<void> => {
  const handle: EntityHandle<Messages, Order | undefined, Fields> = app.entity(orders)
  const ref: Ref<Messages> = handle.ref('42')
  const placed: 'placed' | 'exists' = await call(ref, 'place', { cents: 5 }, { id: 'request-7' })
  const status: string = await call(ref, 'status', undefined, { id: placed, timeoutMs: 5 })
  const cents: number | undefined = outside.entity(orders).state(status)?.cents
  handle.list({ where: { status: 'paid' } })
  const counted: Map<'placed' | 'paid', number> = await handle.counts('status')
  void [cents, counted]
  // Of a kind by its name nothing is known but what is said here.
  const named: Ref<Messages> = app.entity<Messages>('order').ref('42')
  cast(named, 'cancel', 'late')
  supervisor('all', {}, [orders, worker('one', server, { durable: true, arg: 'x' })])
}

export const misuses = async (): Promise<void> => {
  const ref = app.entity(orders).ref('42')
  // @ts-expect-error: the payload of an alarm is missing
  context.setAlarm('remind', { inMs: 5 })
  // @ts-expect-error: the wrong payload of an alarm
  context.setAlarm('remind', { inMs: 5 }, 5)
  // @ts-expect-error: a payload where none belongs
  context.setAlarm('unpaid', { inMs: 5 }, 5)
  // @ts-expect-error: no such alarm
  context.setAlarm('other', { inMs: 5 })
  // @ts-expect-error: no such alarm
  context.cancelAlarm('other')
  // @ts-expect-error: a time in two ways
  context.setAlarm('unpaid', { inMs: 5, at: 5 })
  // @ts-expect-error: no such continue
  context.addContinue('other')
  // @ts-expect-error: the wrong payload of a continue
  context.addContinue('charge', 5)
  // @ts-expect-error: the payload of a continue is missing
  context.addContinue('charge')
  // @ts-expect-error: the turn commits its writes
  await context.writes.commit()
  // @ts-expect-error: a call is no cast
  cast(ref, 'place', { cents: 5 })
  // @ts-expect-error: an alarm is no cast
  cast(ref, 'unpaid')
  // @ts-expect-error: the id of a call is a text
  await call(ref, 'place', { cents: 5 }, { id: 5 })
  // @ts-expect-error: the wrong payload
  await call(ref, 'place', { cents: '5' }, { id: 'a' })
  // @ts-expect-error: the reply is a text
  const count: number = await call(ref, 'status')
  // @ts-expect-error: the id of an entity is a text
  app.entity(orders).ref(42)
  // @ts-expect-error: no such field of the index
  app.entity(orders).list({ where: { name: 'x' } })
  // @ts-expect-error: no such option
  entity('order', server, { idle: 5 })
  // @ts-expect-error: the argument of init is a text
  worker('one', server, { durable: true, arg: 5 })
  void count
}

type Small = { calls: { get: () => number }; alarms: { ring: () => void } }

export const wrongReply: DurableServer<Small, number> = {
  init: () => 0,
  // @ts-expect-error: the reply is a number
  calls: { get: (state) => reply('one', state) },
  alarms: { ring: (state) => noReply(state) },
}

// @ts-expect-error: the handler of an alarm is missing
export const lacking: DurableServer<Small, number> = {
  init: () => 0,
  calls: { get: (state) => reply(1, state) },
}

export const answeredAlarm: DurableServer<Small, number> = {
  init: () => 0,
  calls: { get: (state) => reply(1, state) },
  // @ts-expect-error: an alarm is not answered
  alarms: { ring: (state) => reply(1, state) },
}

export const wrongIndex: DurableServer<Small, number> = {
  init: () => 0,
  calls: { get: (state) => reply(1, state) },
  alarms: { ring: (state) => noReply(state) },
  // @ts-expect-error: the value of an index field is a scalar
  index: (state) => ({ all: [state] }),
}

export const wrongStep: DurableServer<Small, number> = {
  init: () => 0,
  // @ts-expect-error: no such continue
  calls: { get: (state) => reply(1, state, { continue: ['other'] }) },
  alarms: { ring: (state) => noReply(state) },
}
