/** A server for tests: it runs any given function in its process, and records its messages. */
import {
  type Context,
  call,
  cast,
  type GenServer,
  noReply,
  type Ref,
  reply,
} from '../../../src/runtime/index.ts'

export type Messages = {
  calls: { run: (work: (context: Context<Messages>) => unknown) => unknown }
  casts: { answer: (handler: (context: Context<Messages>) => unknown) => void }
  infos: { tick: (value: unknown) => void }
}

/** What came, in order. */
export type Notes = readonly unknown[]

const note = (notes: Notes, value: unknown) => noReply([...notes, value])

/** Runs the functions that it is sent. With `true` it traps exits. */
export const server: GenServer<Messages, Notes, boolean> = {
  init: (isTrapping, context) => {
    context.trapExit(isTrapping)
    return []
  },
  calls: { run: async (notes, work, context) => reply(await work(context), notes) },
  // Whatever the function answers is the handler's answer, right or wrong.
  casts: { answer: (_, handler, context) => handler(context) as never },
  infos: { tick: note },
  exit: (notes, { reason }) => note(notes, ['exit', reason]),
  down: (notes, { reason }) => note(notes, ['down', reason]),
}

/** What `work` came to in the process of `runner`. */
export const run = <T>(runner: Ref<Messages>, work: (context: Context<Messages>) => T) =>
  call(runner, 'run', work) as Promise<Awaited<T>>

/** Lets the next handler of `runner` do and answer what `handler` does. */
export const answer = (
  runner: Ref<Messages>,
  handler: (context: Context<Messages>) => unknown,
): boolean => cast(runner, 'answer', handler)
