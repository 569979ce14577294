/**
 * A server for random worlds. It does what it is asked, and records its requests and everything
 * that it receives.
 */
import {
  type Context,
  type GenServer,
  ignore,
  type Monitor,
  type NoReply,
  noReply,
  ok,
  reply,
  type Stop,
  stop,
} from '../../../src/runtime/index.ts'
import type { Ledger } from './runtime-ledger.ts'

export type Messages = {
  calls: { echo: (id: number) => number }
  casts: { act: (action: Action) => void }
  infos: { rang: (id: number) => void }
}

export type CitizenContext = Context<Messages>

/** Something to do within a process. Answers what comes next; nothing: it goes on. */
export type Action = (context: CitizenContext) => Next | undefined | Promise<Next | undefined>
type Next = NoReply<null> | Stop<null>

/** How a citizen is. */
export interface Nature {
  readonly ledger: Ledger
  /** Draws the random choices in the order of events. */
  readonly random: () => number
  readonly isTrapping: boolean
  /** Waits that much in `init` and in `terminate`. */
  readonly slowMs: number
  /** The pid of who started it by a link, when that is a citizen. */
  readonly parent?: number
}

const initFails = 0.06

/** The citizen. Its whole state is in the books. */
export const citizen = (
  pause: (ms: number) => Promise<void>,
): GenServer<Messages, null, Nature> => {
  const natures = new WeakMap<object, Nature>()
  const natureOf = (context: CitizenContext): Nature => natures.get(context) as Nature
  const enter = (context: CitizenContext, what: string): Ledger => {
    const { ledger } = natureOf(context)
    ledger.handles(context.self, what)
    return ledger
  }
  return {
    init: async (nature, context) => {
      natures.set(context, nature)
      const { ledger, random, isTrapping, slowMs, parent } = nature
      context.trapExit(isTrapping)
      ledger.born(context.self, parent)
      if (slowMs > 0) await pause(slowMs)
      const luck = random()
      if (luck > initFails) return ok(null)
      if (context.signal.aborted) return null
      ledger.refuses(context.self)
      if (luck < initFails / 3) return ignore()
      if (luck < initFails / 2) return stop('unwilling')
      throw new Error('unable')
    },
    calls: {
      echo: (state, id, context) => {
        enter(context, `echo ${id}`)
        return reply(id, state)
      },
    },
    casts: {
      act: async (state, action, context) => {
        enter(context, 'act')
        return (await action(context)) ?? noReply(state)
      },
    },
    infos: {
      rang: (state, id, context) => {
        enter(context, `rang ${id}`).rang(id, context.self.pid as number)
        return noReply(state)
      },
    },
    exit: (state, { from, reason }, context) => {
      enter(context, `exit ${from}`).exitCame(from?.pid, context.self.pid as number, reason)
      return noReply(state)
    },
    down: (state, { monitor, target }, context) => {
      enter(context, `down ${target}`).downCame(monitor as Monitor)
      return noReply(state)
    },
    terminate: async (_state, _reason, context) => {
      enter(context, 'terminate')
      const { slowMs } = natureOf(context)
      if (slowMs > 0) await pause(slowMs)
    },
  }
}
