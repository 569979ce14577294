/** Compiled, never run: what the types of a server let through, and what they refuse. */
import {
  type Context,
  call,
  cast,
  type Fired,
  type From,
  type GenServer,
  ignore,
  type Name,
  name,
  noReply,
  ok,
  type Ref,
  reply,
  type Settled,
  type System,
  send,
  stop,
  stopReply,
  supervisor,
  worker,
} from '../../src/runtime/index.ts'

type Messages = {
  calls: {
    get: () => number
    add: (by: number) => number
    find: (key: { id: string }) => string | undefined
  }
  casts: { reset: () => void; set: (to: number) => void }
  infos: {
    tick: () => void
    loaded: (outcome: Settled<string>) => void
    rang: (fired: Fired<number>) => void
  }
  continues: { load: (from: string) => void; warm: () => void }
}
type State = { count: number }

declare const system: System
declare const context: Context<Messages>
declare const counter: Ref<Messages>

/** A server in which every parameter is inferred. */
export const server: GenServer<Messages, State, number> = {
  init: (start) => ok({ count: start.valueOf() }, { continue: ['load', 'disk'] }),
  calls: {
    get: (state) => reply(state.count, state),
    add: async (state, by) =>
      reply(state.count + by, { count: state.count + by }, { timeoutMs: 5 }),
    find: (state, { id }, { from }) => {
      const kept: From<string | undefined> = from
      kept.reply(id)
      return id === ''
        ? stopReply('normal', undefined, state)
        : noReply(state, { continue: ['warm'] })
    },
  },
  casts: {
    reset: () => noReply({ count: 0 }),
    set: (state, to) => (to < 0 ? stop('negative', state) : noReply({ count: to })),
  },
  infos: {
    tick: (state, _, { sendAfter }) => {
      sendAfter(5, 'tick')
      return noReply(state)
    },
    loaded: (state, outcome) => noReply(outcome.ok ? { count: outcome.value.length } : state),
    rang: (state, { timer, payload }) => {
      context.cancelTimer(timer)
      return noReply({ count: state.count + payload })
    },
  },
  continues: {
    load: (_, from) => noReply({ count: from.length }),
    warm: (state) => noReply(state),
  },
  exit: (state, { from, reason }) => (from === undefined ? stop(reason) : noReply(state)),
  down: (state, { target }) =>
    noReply(typeof target === 'string' ? state : { count: target.pid ?? 0 }),
  timeout: (state) => noReply(state),
  terminate: async (state) => void state.count,
}

/** A server that understands nothing, and one that need not start. */
export const idle: GenServer<{ calls: { never: () => void } }, null> = {
  init: () => ignore(),
  calls: { never: (state) => reply(undefined, state) },
}

export const uses = async (): Promise<void> => {
  const started: Ref<Messages> = await system.start(server, 1, { name: name<Messages>('counter') })
  const count: number = await call(started, 'add', 2)
  const found: string | undefined = await call(
    started,
    'find',
    { id: String(count) },
    { timeoutMs: 5 },
  )
  const told: boolean = cast(started, 'reset') && cast(started, 'set', found?.length ?? 0)
  if (told) send(started, 'tick')
  await call(started, 'get', undefined, { timeoutMs: Number.POSITIVE_INFINITY })
  await system.start(idle)
  await system.start({ init: () => 0 })
  const result = await context.startLinkResult(server, 1)
  if (result.ok) await call(result.ref, 'get')
  const named: Name<Messages> = name('counter')
  await call(system.to(named), 'get')
  cast(context.to(named), 'reset')
  context.sendAfter(5, 'tick', undefined, named)
  context.startTimer(5, 'rang', 7)
  context.pipe(Promise.resolve('text'), 'loaded')
  supervisor('all', { strategy: 'one_for_one' }, [worker('a', server, 1), worker('b', idle)])

  // A ref of more messages fits where one of fewer is asked for.
  const narrow: Ref<{ casts: { reset: () => void } }> = counter
  cast(narrow, 'reset')
}

export const misuses = async (): Promise<void> => {
  // @ts-expect-error: no such call
  await call(counter, 'subtract', 1)
  // @ts-expect-error: a cast is no call
  await call(counter, 'reset')
  // @ts-expect-error: a call is no cast
  cast(counter, 'get')
  // @ts-expect-error: an info is no cast
  cast(counter, 'tick')
  // @ts-expect-error: the wrong payload
  await call(counter, 'add', 'two')
  // @ts-expect-error: a payload is missing
  await call(counter, 'add')
  // @ts-expect-error: a payload where none belongs
  cast(counter, 'reset', 1)
  // @ts-expect-error: the reply is a number
  const text: string = await call(counter, 'get')
  // @ts-expect-error: the wrong argument of init
  await system.start(server, 'one')
  // @ts-expect-error: the argument of init is missing
  await system.start(server)
  // @ts-expect-error: the name of another kind of process
  await system.start(server, 1, { name: name<{ casts: { other: () => void } }>('other') })
  // @ts-expect-error: a bare text is no name
  system.to('counter')
  // @ts-expect-error: the wrong payload of an info
  context.sendAfter(5, 'loaded', 'text')
  // @ts-expect-error: no such info
  context.sendAfter(5, 'tock')
  // @ts-expect-error: the wrong payload of a timer
  context.startTimer(5, 'rang', 'seven')
  // @ts-expect-error: the promise of something else
  context.pipe(Promise.resolve(7), 'loaded')
  // @ts-expect-error: the wrong argument of a worker
  worker('a', server, 'one')
  // @ts-expect-error: no such strategy
  supervisor('all', { strategy: 'one_for_two' }, [])
  const narrow: Ref<{ casts: { reset: () => void } }> = counter
  // @ts-expect-error: a ref of fewer messages does not fit where more are asked for
  const wide: Ref<Messages> = narrow
  void [text, wide]
}

type Small = { calls: { get: () => number }; casts: { set: (to: number) => void } }

// @ts-expect-error: a handler is missing
export const lacking: GenServer<Small, State> = {
  init: () => ({ count: 0 }),
  calls: { get: (state) => reply(1, state) },
}

export const wrongReply: GenServer<Small, State> = {
  init: () => ({ count: 0 }),
  // @ts-expect-error: the reply is a number
  calls: { get: (state) => reply('one', state) },
  casts: { set: (_, to) => noReply({ count: to }) },
}

export const wrongState: GenServer<Small, State> = {
  init: () => ({ count: 0 }),
  calls: { get: (state) => reply(1, state) },
  // @ts-expect-error: the state is an object with a count
  casts: { set: (_, to) => noReply(to) },
}

export const replyToCast: GenServer<Small, State> = {
  init: () => ({ count: 0 }),
  calls: { get: (state) => reply(1, state) },
  // @ts-expect-error: a cast is not answered
  casts: { set: (state) => reply(1, state) },
}

export const wrongInit: GenServer<Small, State> = {
  // @ts-expect-error: init begins with a state
  init: () => 'nothing',
  calls: { get: (state) => reply(1, state) },
  casts: { set: (_, to) => noReply({ count: to }) },
}

export const wrongContinue: GenServer<Messages, State> = {
  ...server,
  // @ts-expect-error: no such continue
  init: () => ok({ count: 0 }, { continue: ['start'] }),
}

export const additional: GenServer<Small, State> = {
  init: () => ({ count: 0 }),
  calls: { get: (state) => reply(1, state) },
  casts: {
    set: (_, to) => noReply({ count: to }),
    // @ts-expect-error: a handler of a message that was not declared
    unset: (state) => noReply(state),
  },
}
