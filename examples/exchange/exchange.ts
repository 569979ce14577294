/**
 * The exchange: a market in memory. Each command is in the journal, with all that it did, before it
 * is answered. A new process takes the market from there.
 */
import { isDeepStrictEqual } from 'node:util'
import {
  type GenServer,
  type JournalAck,
  KeelsonError,
  noReply,
  reply,
  type Settled,
  type StoredEntry,
} from 'keelson'
import { readEventPayload } from 'keelson/journal'
import {
  type Answer,
  type Command,
  type Effects,
  Market,
  type Outcome,
  type Snapshot,
  type Trade,
} from './matching.ts'

export type Events = { trade: Trade }
export type Messages = {
  calls: {
    /** Takes command `number`, which must be the next. The answer comes when it is durable. */
    take: (order: { readonly number: number; readonly command: Command }) => Answer
    /** The number of the last command. */
    taken: () => number
    snapshot: () => Snapshot
  }
}
type Internal = Messages & {
  infos: { acked: (ack: Settled<JournalAck>) => void; saved: (saved: Settled<void>) => void }
}

type State = ExchangeOptions & {
  readonly market: Market
  /** Answers to commands that are not durable yet. Acknowledgements come in their order. */
  readonly waiting: ((ack: JournalAck) => void)[]
}

/** `saveEvery`: commands from one saved state to the next. A start takes those behind it again. */
export type ExchangeOptions = { readonly saveEvery: number }

/** Everybody may see the trades. Who moved how much is in the effects, which nobody is told. */
const entryOf = (number: number, command: Command, { answer, trades, effects }: Outcome) => ({
  id: `${number}`,
  type: command.type,
  command,
  response: answer,
  events: trades.map((payload) => ({ type: 'trade', payload }) as const),
  effects,
})

/** Takes the command of an entry again. @throws Error unless it is answered as it was then */
const takeAgain = (market: Market, { id, command, response }: StoredEntry): void => {
  const { answer } = market.take(readEventPayload(command).value as Command)
  const isSame = isDeepStrictEqual(answer, readEventPayload(response).value)
  if (market.taken !== Number(id) || !isSame)
    throw new Error(`entry ${id} is not what command ${market.taken} does to this market`)
}

export const exchange: GenServer<Internal, State, ExchangeOptions> = {
  init: async ({ saveEvery }, { app }) => {
    const saved = await app.journal.loadState<Snapshot>()
    const market = saved ? Market.from(saved.value) : new Market()
    const handler = (entry: StoredEntry): void => {
      if (Number(entry.id) > market.taken) takeAgain(market, entry)
    }
    await app.journal.replay({ handler, ...(saved && { from: saved.lsn + 1 }) })
    return { market, saveEvery, waiting: [] }
  },
  calls: {
    take: (state, { number, command }, context) => {
      const { market, saveEvery, waiting } = state
      const { from } = context
      if (number !== market.taken + 1) {
        from.fail(new KeelsonError('CONFLICT', `command ${market.taken + 1} is the next`))
        return noReply(state)
      }
      const journal = context.app.journal.typed<Events, Effects>()
      const outcome = market.take(command)
      const snapshot = number % saveEvery === 0 ? market.snapshot() : undefined
      waiting.push(({ lsn }) => {
        from.reply(outcome.answer)
        // The frame may have later commands too, so the state is only sure to have those before it.
        if (snapshot) context.pipe(journal.saveState(lsn - 1, snapshot), 'saved')
      })
      context.pipe(journal.append(entryOf(number, command, outcome)), 'acked')
      return noReply(state)
    },
    taken: (state) => reply(state.market.taken, state),
    snapshot: (state) => reply(state.market.snapshot(), state),
  },
  infos: {
    // The market has gone on with a command that may not be in the journal. Nobody was answered:
    // this process ends, and the next one takes what the journal has.
    acked: (state, ack) => {
      if (!ack.ok) throw ack.error
      state.waiting.shift()?.(ack.value)
      return noReply(state)
    },
    // Without it the next start takes longer. That is no reason to end.
    saved: (state, saved, { system }) => {
      if (!saved.ok) system.logger.warn(`the market was not saved: ${saved.error}`, {})
      return noReply(state)
    },
  },
}
