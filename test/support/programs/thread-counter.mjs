/** A server for threads, with all that a test wants to see of one. */
import { parentPort } from 'node:worker_threads'
import { exit, ignore, KeelsonError, noReply, reply, stop } from 'keelson'

/** Resolves after the first ping has its answer: that is posted before the loop goes on. */
const pinged = new Promise((resolve) => {
  parentPort.on('message', ({ kind }) => kind === 'ping' && setImmediate(resolve))
})

/** Says in `flag[1]`, if that is there, that a handler runs. */
const begin = (flag) => {
  if (flag.length === 1) return
  Atomics.store(flag, 1, 1)
  Atomics.notify(flag, 1)
}

/** Says in `flag[2]` that the thread has answered. */
const answer = async (flag) => {
  await pinged
  Atomics.store(flag, 2, 1)
  Atomics.notify(flag, 2)
}

/** Takes the processor until `flag` is set. */
const spin = (flag) => {
  begin(flag)
  while (Atomics.load(flag, 0) === 0);
}

/** Takes a text, and makes a number of it. */
const numbers = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (given) =>
      typeof given === 'string' ? { value: Number(given) } : { issues: [{ message: 'no text' }] },
  },
}

export default {
  messages: { calls: { count: numbers } },
  init: (arg, context) => {
    if (arg === 'ignore') return ignore()
    if (arg === 'refuse') return stop(['no', 'thanks'])
    if (arg === 'throw') throw new KeelsonError('BUSY', 'not now', { details: { at: 1 } })
    if (arg?.traps !== undefined) context.trapExit(true)
    return { heard: [], end: arg?.traps ?? arg?.end }
  },
  calls: {
    heard: (state) => reply(state.heard, state),
    count: (state, number) => reply([typeof number, number], state),
    spin: (state, flag) => {
      spin(flag)
      return reply('done', state)
    },
    never: (state) => noReply(state),
    later: (state, _, context) => {
      context.sendAfter(1, 'tick', context.from.caller)
      return noReply({ ...state, waiting: context.from })
    },
    fail: (state, what, context) => {
      context.from.fail(new KeelsonError('CONFLICT', what, { details: { what } }))
      return noReply(state)
    },
    uncloneable: (state) => reply(() => 1, state),
    moved: (state, buffer) => reply(buffer, state),
    exit: (_, reason) => exit(reason),
    trap: (state, on, context) => {
      context.trapExit(on)
      return reply('ok', state)
    },
    status: (_, code) => process.exit(code),
    hog: () => {
      for (const kept = []; ; ) kept.push(new Array(10_000).fill(0))
    },
    unhandled: (state) => {
      void Promise.reject(new TypeError('nobody handles this'))
      return noReply(state)
    },
  },
  casts: {
    note: (state, text) => noReply({ ...state, heard: [...state.heard, text] }),
    spin: (state, flag) => {
      spin(flag)
      return noReply(state)
    },
    hold: async (state, flag) => {
      begin(flag)
      void answer(flag)
      await Atomics.waitAsync(flag, 0, 0).value
      return noReply(state)
    },
    crash: (_, text) => {
      throw new RangeError(text)
    },
  },
  infos: {
    note: (state, text) => noReply({ ...state, heard: [...state.heard, text] }),
    tick: (state) => {
      state.waiting.reply('later')
      return noReply(state)
    },
  },
  exit: (state, { reason }) => noReply({ ...state, heard: [...state.heard, ['exit', reason]] }),
  terminate: ({ end }, reason) => {
    if (end !== undefined) Atomics.store(end, 0, reason === 'shutdown' ? 7 : 9)
  },
}

export const transfer = (name, value) => (name === 'moved' ? [value] : [])
