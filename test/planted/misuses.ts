/** Mistakes that are easily made with the types of a server. Each line that follows a `says:` must not compile, and the error must say that. */
import type { DurableServer } from '../../src/actors/index.ts'
import { type Ctx, flow, type Handle, queue, workflow } from '../../src/flow/index.ts'
import {
  type Context,
  call,
  cast,
  type From,
  type GenServer,
  name,
  noReply,
  ok,
  type Ref,
  reply,
  type System,
  send,
  stop,
  worker,
} from '../../src/runtime/index.ts'
import { type App, worker as part } from '../../src/supervisors/index.ts'

type Messages = {
  calls: { get: () => number; add: (by: number) => number; find: (key: { id: string }) => string }
  casts: { reset: () => void; set: (to: number) => void }
  infos: { tick: () => void }
  continues: { load: (from: string) => void }
}
type State = { count: number }
type Server = GenServer<Messages, State, number>

declare const system: System
declare const counter: Ref<Messages>
declare const context: Context<Messages>
declare const from: From<number>

const { calls, casts, ...rest }: Server = {
  init: (start) => ({ count: start }),
  calls: {
    get: (state) => reply(state.count, state),
    add: (state, by) => reply(state.count + by, state),
    find: (state, { id }) => reply(id, state),
  },
  casts: { reset: () => noReply({ count: 0 }), set: (_, to) => noReply({ count: to }) },
  infos: { tick: (state) => noReply(state) },
  continues: { load: (state) => noReply(state) },
}
export const server: Server = { ...rest, calls, casts }

// A missing handler, and a missing section.
const { find: _, ...fewer } = calls
// says: Property 'find' is missing
export const lacksHandler: Server = { ...rest, casts, calls: fewer }
// says: Property 'casts' is missing
export const lacksSection: Server = { ...rest, calls }

// What a handler answers.
// says: Type 'string' is not assignable to type 'number'
export const wrongReply: Server = { ...rest, casts, calls: { ...calls, get: (state) => reply('one', state) } }
// says: Type 'void' is not assignable to type 'Result<State,
export const noAnswer: Server = { ...rest, calls, casts: { ...casts, reset: () => {} } }
// says: Type '{ count: number; }' is not assignable to type 'Result<State,
export const bareState: Server = { ...rest, calls, casts: { ...casts, reset: () => ({ count: 0 }) } }
// says: Property 'count' is missing in type '{ cuont: number; }'
export const misspeltState: Server = { ...rest, calls, casts: { ...casts, reset: () => noReply({ cuont: 0 }) } }
// says: Type '"reply"' is not assignable to type '"noReply"'
export const answeredCast: Server = { ...rest, calls, casts: { ...casts, reset: (state) => reply(1, state) } }
// says: Type 'number' is not assignable to type 'State'
export const wrongStop: Server = { ...rest, calls, casts: { ...casts, reset: () => stop('why', 5) } }
// says: Type '"lod"' is not assignable to type '"load"'
export const wrongContinue: Server = { ...rest, calls, casts, init: () => ok({ count: 0 }, { continue: ['lod', 'disk'] }) }
// says: Type 'number' is not assignable to type 'Init<State,
export const wrongInit: Server = { ...rest, calls, casts, init: () => 5 }

// What is sent.
// says: Argument of type '"gett"' is not assignable to parameter of type '"add" | "find" | "get"'
void call(counter, 'gett')
// says: Argument of type '"reset"' is not assignable to parameter of type '"add" | "find" | "get"'
void call(counter, 'reset')
// says: Argument of type '"add"' is not assignable to parameter of type '"reset" | "set"'
cast(counter, 'add', 1)
// says: Argument of type '"reset"' is not assignable to parameter of type '"tick"'
send(counter, 'reset')
// says: Argument of type 'string' is not assignable to parameter of type 'number'
void call(counter, 'add', 'two')
// says: Expected 3-4 arguments, but got 2
void call(counter, 'add')
// says: Expected 3 arguments, but got 2
cast(counter, 'set')
// says: Argument of type '5' is not assignable to parameter of type 'undefined'
cast(counter, 'reset', 5)
// says: Argument of type 'string' is not assignable to parameter of type 'number'
from.reply('one')
// says: Argument of type '"tock"' is not assignable to parameter of type '"tick"'
context.sendAfter(5, 'tock')
// says: Argument of type 'string' is not assignable to parameter of type 'number'
context.sendAfter('5', 'tick')

// Who it is sent to, and how it is started.
// says: Argument of type 'string' is not assignable to parameter of type 'Ref<unknown, unknown>'
void call('counter', 'get')
// says: Argument of type 'string' is not assignable to parameter of type 'number'
void system.start(server, 'one')
// says: Expected 2-3 arguments, but got 1
void system.start(server)
// says: Argument of type 'string' is not assignable to parameter of type 'number'
worker('counter', server, 'one')
// says: Type 'string' is not assignable to type
void system.start(server, 1, { name: 'counter' })
// says: missing the following properties from type 'Messages'
void system.start(server, 1, { name: name<{ casts: { other: () => void } }>('other') })
// says: its init takes an argument: worker(id, server, { arg })
part('counter', server)
// says: Property 'arg' is missing
part('counter', server, {})

// Workflows and queues.
type Order = { readonly cents: number }
type Signals = { approval: { by: string } }
declare const app: App
declare const ctx: Ctx<Signals>
declare const run: Handle<number, Signals>
const order = workflow('order', async (_: Ctx<Signals>, { cents }: Order) => cents)
const mails = queue('mails', async (job: { to: string }) => job.to)
// says: Argument of type '"refusal"' is not assignable to parameter of type '"approval"'
void ctx.waitFor('refusal')
// says: Argument of type '"refusal"' is not assignable to parameter of type '"approval"'
void run.signal('refusal', { by: 'Eve' })
// says: 'from' does not exist in type '{ by: string; }'
void run.signal('approval', { from: 'Eve' })
// says: 'euros' does not exist in type 'Order'
void flow(app).start(order, { euros: 1 }, { id: '1' })
// says: Property 'id' is missing
void flow(app).start(order, { cents: 1 }, {})
// says: 'from' does not exist in type '{ to: string; }'
void flow(app).add(mails, { from: 'Eve' })
// says: 'retries' does not exist in type 'OptionsOfWorkflow<
workflow('odd', async () => 1, { retries: 3 })
// says: Type 'number' is not assignable to type 'string'
export const text: Promise<string> = run.result()
type Undeclared = { calls: { hold: () => void } }
export const hall: DurableServer<Undeclared, State> = {
  init: () => ({ count: 0 }),
  calls: {
    hold: (state, _, context) => {
      // says: parameter of type '"its Messages have no alarms"'
      context.setAlarm('expire', { inMs: 1 })
      return reply(undefined, state)
    },
  },
  alarms: {
    // says: is not assignable to type '"its Messages have no alarms"'
    expire: (state: State) => noReply(state),
  },
}
