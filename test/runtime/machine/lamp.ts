/**
 * A machine for tests: a lamp that is pushed on and off, takes notes, and breaks in the ways that a
 * machine can.
 */
import { assign, emit, log, setup } from 'xstate'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'

/** The events of a lamp; `spare` is in its types only, no state names it. */
export type Events =
  | { type: 'push' }
  | { type: 'note'; text: string }
  | { type: 'crash' }
  | { type: 'finish' }
  | { type: 'reject' }
  | { type: 'guarded' }
  | { type: 'spare' }

/** The error thrown in a lamp. */
export const boom = new Error('boom')

/**
 * Is lit while it is on, and counts how often it was pushed on; ends when it is finished while it
 * is lit.
 */
export const lamp = setup({
  types: {} as {
    context: { notes: string[]; pushes: number }
    events: Events
    output: { pushes: number }
    tags: 'lit'
    emitted: { type: 'lit'; at: number }
  },
  actions: {
    note: assign({
      notes: ({ context, event }) =>
        event.type === 'note' ? [...context.notes, event.text] : context.notes,
    }),
    count: assign({ pushes: ({ context }) => context.pushes + 1 }),
    throwBoom: () => {
      throw boom
    },
    rejectBoom: () => Promise.reject(boom),
    announce: emit(({ context }) => ({ type: 'lit' as const, at: context.pushes })),
    tell: log(({ context }) => `pushed ${context.pushes} times`, 'lamp'),
  },
  guards: {
    throwing: () => {
      throw boom
    },
  },
}).createMachine({
  id: 'lamp',
  context: { notes: [], pushes: 0 },
  initial: 'off',
  output: ({ context }) => ({ pushes: context.pushes }),
  on: {
    note: { actions: 'note' },
    crash: { actions: 'throwBoom' },
    reject: { actions: 'rejectBoom' },
    guarded: { guard: 'throwing', actions: 'note' },
  },
  states: {
    off: { on: { push: { target: 'on', actions: 'count' } } },
    on: {
      tags: 'lit',
      entry: ['announce', 'tell'],
      on: { push: 'off', finish: 'done' },
    },
    done: { type: 'final' },
  },
})

/** Its server, as it is without options. */
export const server = StateMachine.server(lamp)

/** Pushes it: on when it is off, off when it is on. */
export const push = { type: 'push' } as const

/** Has it take a note. */
export const note = (text: string) => ({ type: 'note', text }) as const
