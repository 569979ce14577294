/** Actors that have a secret in their states, payloads, reasons and errors, and every byte that was recorded of them. */
import { type DurableServer, exit, type GenServer, ok, reply } from '../../../src/index.ts'
import { recordsOf } from '../../../src/inspect/recorder/recorder.ts'
import { recordedSorts } from '../../../src/inspect/recorder/records.ts'
import type { System } from '../../../src/runtime/index.ts'

/** The secret that must be nowhere. */
export const canary = 'CANARY7'

/** In `number` a formatStatus hides it, in `password` its name does. */
export type Secrets = { readonly number: string; readonly password: string; readonly old?: string }
/** A state with both. */
export const secrets: Secrets = { number: canary, password: canary }
/** Data whose field has the name of a secret. */
export const named = { user: 'ada', password: canary }

type Questions = Record<'ask' | 'word' | 'fail' | 'leave' | 'hang', (payload: unknown) => unknown>
/** The messages of each. */
export type Messages = { calls: Questions; casts: { fail: (payload: unknown) => void } }

/** Throws an error that has the secret. */
export const fail = (payload: unknown): never => {
  throw Object.assign(new Error('refused'), { payload, password: canary })
}

/** Shows nothing of its payloads and its reasons. */
export const hiding = { formatStatus: () => ({ state: { number: '…' }, reason: 'a secret' }) }

/** A server that hides only by names. */
export const open: GenServer<Messages, typeof named, { readonly apiKey: string }> = {
  init: () => named,
  calls: {
    ask: (state) => reply(state, state),
    word: (state) => reply(named.user, state),
    fail: (_, payload) => fail(payload),
    leave: (_, payload) => exit(['left', payload]),
    hang: () => new Promise<never>(() => undefined),
  },
  casts: { fail: (_, payload) => fail(payload) },
}

/** A server that hides all. */
export const vault: GenServer<Messages, Secrets> = {
  init: () => secrets,
  calls: {
    ask: (state) => reply(state, state),
    word: (state) => reply(state.number, state),
    fail: (_, payload) => fail(payload),
    leave: () => exit(canary),
    hang: () => new Promise<never>(() => undefined),
  },
  casts: { fail: (_, payload) => fail(payload) },
  ...hiding,
}

/** A durable actor like it, without a formatStatus. */
export const account = {
  init: () => ok({ ...secrets }),
  calls: {
    ask: (state: Secrets) => reply(state, { ...state, old: 'x' }),
    word: (state: Secrets) => reply(state.number, { ...state, old: 'y' }),
    fail: (_: Secrets, payload: unknown) => fail(payload),
    leave: () => exit(canary),
    hang: () => new Promise<never>(() => undefined),
  },
  casts: { fail: (_: Secrets, payload: unknown) => fail(payload) },
} as unknown as DurableServer<Messages, Secrets>

/** A durable actor that hides only by names. */
export const login = {
  ...account,
  init: () => ok(named as never),
  calls: {
    ...account.calls,
    word: (state: unknown) => reply('ada', state),
    leave: (_: unknown, payload: unknown) => exit(['left', payload]),
  },
  index: () => ({ password: canary, status: 'new' }),
} as unknown as DurableServer<Messages, Secrets>

type Debts = {
  calls: { owe: () => void }
  continues: { charge: (number: string) => void }
  alarms: { due: () => void }
}
/** Throws an error whose text says the secret. */
export const refuse = (state: Secrets): never => {
  throw new Error(`refused: ${state.number}`)
}

/** Its step and its alarm fail with its secret in the text of the error. */
export const debt: DurableServer<Debts, Secrets> = {
  init: () => secrets,
  calls: {
    owe: (state, _, context) => {
      context.setAlarm('due', { inMs: 1 })
      return reply(undefined, { ...state, old: 'x' }, { continue: ['charge', canary] })
    },
  },
  continues: { charge: refuse },
  alarms: { due: refuse },
  retry: { max: 2 },
  formatStatus: ({ reason }) => ({ state: '…', reason: reason && new Error('a secret error') }),
}

/** Its formatStatus throws, and says the secret. */
export const torn = {
  formatStatus: (): never => {
    throw new Error(canary)
  },
}

/** Every byte of the flight recorder. */
export const recorded = (system: System): string[] => {
  const records = recordsOf(system)
  const events = recordedSorts.flatMap((sort) => records.last(sort))
  return [...events, ...records.counts()].map((each) => JSON.stringify(each))
}
