/** The tape: every trade as a line of a file, in order, and each once. */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { type AppContext, type From, type GenServer, noReply, ok, reply } from 'keelson'
import { readEventPayload } from 'keelson/journal'
import type { Events } from './exchange.ts'

/** `printed` answers when the trades of all commands up to a number are printed. */
export type TapeMessages = { calls: { printed: (number: number) => void } }

type State = {
  readonly descriptor: number
  readonly subscription: ReturnType<AppContext['journal']['subscribe']>
  readonly press: { last: number; readonly waiting: Map<number, From<void>> }
}

/** The last command whose trades are in the file. */
const lastIn = (descriptor: number): number => {
  const line = readFileSync(descriptor, 'utf8').trimEnd().split('\n').at(-1)
  return line ? JSON.parse(line).taker : 0
}

export const tape: GenServer<TapeMessages, State, string> = {
  init: (file, { app }) => {
    const descriptor = openSync(file, 'a+')
    const press: State['press'] = { last: lastIn(descriptor), waiting: new Map() }
    const subscription = app.journal.typed<Events>().subscribe({
      name: 'tape',
      handler: ({ id, events }) => {
        // A kill may have come between a line and its position: the entry is then delivered again.
        if (Number(id) <= press.last) return
        press.last = Number(id)
        const trades = events.map(({ payload }) => readEventPayload(payload).value)
        const lines = trades.map((trade) => `${JSON.stringify(trade)}\n`).join('')
        if (lines !== '') writeSync(descriptor, lines)
        press.waiting.get(press.last)?.reply(undefined)
      },
    })
    return ok({ descriptor, subscription, press })
  },
  calls: {
    printed: (state, number, { from }) => {
      if (state.press.last >= number) return reply(undefined, state)
      state.press.waiting.set(number, from)
      return noReply(state)
    },
  },
  terminate: async ({ subscription, descriptor }) => {
    await subscription.end()
    closeSync(descriptor)
  },
}
