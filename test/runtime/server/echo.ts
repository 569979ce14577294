/**
 * A server for tests: on request it answers, keeps callers waiting, hands them on, crashes, or
 * takes its time.
 */
import { type From, type GenServer, noReply, type Ref, reply } from '../../../src/runtime/index.ts'

export type Messages = {
  calls: {
    echo: (value: unknown) => unknown
    keep: (label: string) => string
    hand: (to: { target: Ref; note?: unknown }) => unknown
    fail: (error: Error) => never
    wait: (until: Promise<unknown>) => unknown
  }
  casts: {
    answer: (answers: { label: string; value: string }) => void
    crash: (error: Error) => void
    hold: (until: Promise<unknown>) => void
    note: (value: unknown) => void
  }
  infos: { noted: (value: unknown) => void }
}

export type State = {
  readonly kept: ReadonlyMap<string, From<string>>
  readonly notes: readonly unknown[]
}

const noted = (state: State, value: unknown) =>
  noReply({ ...state, notes: [...state.notes, value] })

export const server: GenServer<Messages, State> = {
  init: () => ({ kept: new Map(), notes: [] }),
  calls: {
    echo: (state, value) => reply(value, state),
    keep: (state, label, { from }) =>
      noReply({ ...state, kept: new Map(state.kept).set(label, from) }),
    hand: (state, { target, note }, { from }) => {
      from.handTo(target, note)
      return noReply(state)
    },
    fail: (state, error, { from }) => {
      from.fail(error)
      return noReply(state)
    },
    wait: async (state, until) => reply(await until, state),
  },
  casts: {
    answer: (state, { label, value }) => {
      state.kept.get(label)?.reply(value)
      return noReply(state)
    },
    crash: (_, error) => {
      throw error
    },
    hold: async (state, until) => {
      await until
      return noReply(state)
    },
    note: noted,
  },
  infos: { noted },
}
