/** The three steps of the workflow without one: as a durable actor, and as a durable machine. */
import { call, entity, noReply, ok } from 'keelson'
import { StateMachine } from 'keelson/state-machine'
import { assign, fromPromise, setup } from 'xstate'

const asking = new Map()

/** A step: its outcome and the next step are one turn. */
const stepBefore = (following) => async (number, _, context) => {
  const next = (await number) + 1
  if (following) context.addContinue(following)
  else asking.get(context.id).reply(next)
  return noReply(next)
}

const actors = entity('actor', {
  init: () => ok(0),
  calls: {
    begin: (_, number, context) => {
      asking.set(context.id, context.from)
      context.addContinue('one')
      return noReply(number)
    },
  },
  continues: { one: stepBefore('two'), two: stepBefore('three'), three: stepBefore() },
})

const stateBefore = (target) => ({
  invoke: {
    src: 'step',
    input: ({ context }) => context.number,
    onDone: { target, actions: assign({ number: ({ event }) => event.output }) },
  },
})

const machine = setup({
  actors: { step: fromPromise(async ({ input }) => input + 1) },
}).createMachine({
  context: { number: 0 },
  initial: 'new',
  states: {
    new: {
      on: { begin: { target: 'one', actions: assign({ number: ({ event }) => event.number }) } },
    },
    one: stateBefore('two'),
    two: stateBefore('three'),
    three: stateBefore('ended'),
    ended: { type: 'final' },
  },
})
const machines = entity('machine', StateMachine.durable(machine))

/** Their parts of the tree. */
export const kinds = [actors, machines]

/** What each of them makes of a number, under an id. */
export const ways = {
  actor: async (app, id, number) => {
    const answer = await call(app.entity(actors).ref(id), 'begin', number)
    asking.delete(id)
    return answer
  },
  machine: async (app, id, number) => {
    const ref = app.entity(machines).ref(id)
    const ended = StateMachine.waitFor(ref, ({ status }) => status === 'done')
    await StateMachine.send(ref, { type: 'begin', number })
    return (await ended).context.number
  },
}
