/** Compiled, never run: the types of a machine reach the refs of its entities. */
import { setup } from 'xstate'
import { type App, entity, worker } from '../../src/index.ts'
import { type MachineRef, StateMachine } from '../../src/runtime/state-machine/state-machine.ts'

const machine = setup({
  types: {} as {
    context: { readonly cents: number }
    events: { type: 'place'; cents: number } | { type: 'status' }
    input: { readonly id: string }
    output: number
  },
}).createMachine({ context: { cents: 0 }, initial: 'open', states: { open: {}, placed: {} } })

const server = StateMachine.durable(machine, {
  input: (id) => ({ id }),
  answers: { status: ({ value }) => value },
  index: ({ context }) => ({ cents: context.cents }),
})
const orders = entity('order', server)

export const uses = async (app: App): Promise<void> => {
  const handle = app.entity(orders)
  const ref: MachineRef<typeof server> = handle.ref('42')
  StateMachine.send(ref, { type: 'place', cents: 5 })
  const state: 'open' | 'placed' = await StateMachine.call(ref, { type: 'status' }, { id: 'r1' })
  const output: number = await StateMachine.output(ref)
  const cents: number | undefined = handle.state('42')?.context.cents
  handle.list({ where: { cents: { gte: output + (cents ?? 0) } } })
  worker(state, server, { durable: true })
}

/** An action in its turn knows the machine's context, its events and the turn. */
export const booking = setup({
  types: {} as { context: { readonly cents: number }; events: { type: 'pay'; by: string } },
  actions: {
    book: StateMachine.inTurn(({ context, event }, turn) => {
      turn.writes.put(`{order/${turn.id}}:paid`, context.cents)
      turn.journal({ id: turn.step, type: 'paid', command: event.by })
      // @ts-expect-error: a machine sets its alarms by delayed transitions
      turn.setAlarm('late', { inMs: 5 })
      // @ts-expect-error: not in the machine's context
      context.euros
    }),
    note: StateMachine.inTurn((_, turn, params: { readonly text: string }) => {
      turn.writes.put('note', params.text)
    }),
  },
}).createMachine({
  context: { cents: 0 },
  initial: 'open',
  states: {
    open: {
      on: { pay: { target: 'paid', actions: ['book', { type: 'note', params: { text: '' } }] } },
    },
    paid: {
      entry: StateMachine.inTurn((given, turn) => turn.writes.put('x', given.context.cents)),
    },
  },
})

export const misuses = async (app: App): Promise<void> => {
  const ref = app.entity(orders).ref('42')
  // @ts-expect-error: no event of the machine
  StateMachine.send(ref, { type: 'pay' })
  // @ts-expect-error: the event lacks its payload
  StateMachine.send(ref, { type: 'place' })
  // @ts-expect-error: an event without an answer
  await StateMachine.call(ref, { type: 'place', cents: 5 })
  // @ts-expect-error: not a field of the index
  app.entity(orders).list({ where: { state: 'open' } })
  // @ts-expect-error: not the machine's input
  StateMachine.durable(machine, { input: (id) => ({ name: id }) })
  // @ts-expect-error: a durable machine saves itself
  StateMachine.durable(machine, { save: () => {} })
}
