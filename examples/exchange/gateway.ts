/** The gateway: hands the commands of a file to the exchange, many of them in flight. */
import { call, type GenServer, type Name, name, noReply, ok } from 'keelson'
import type { Messages } from './exchange.ts'
import type { Answer, Snapshot } from './matching.ts'
import { readOrders } from './order-file.ts'
import type { TapeMessages } from './tape.ts'

export type Day = {
  readonly file: string
  readonly inFlight: number
  /** Called with each answer, in the order of the file. */
  readonly answered: (number: number, answer: Answer) => void
  /** Called when the file is done. */
  readonly closed: (snapshot: Snapshot) => void
}

export const gateway: GenServer<{ continues: { open: () => void } }, Day, Day> = {
  init: (day) => ok(day, { continue: ['open'] }),
  continues: {
    // The exchange knows where it is. This process has nothing to remember.
    open: async (day, _, context) => {
      const exchange = context.to(name('exchange') as Name<Messages>)
      const flying: Promise<Answer>[] = []
      let number = await call(exchange, 'taken')
      let answered = number
      const land = async () => day.answered(++answered, (await flying.shift()) as Answer)
      for await (const command of readOrders(day.file, number)) {
        flying.push(call(exchange, 'take', { number: ++number, command }))
        if (flying.length === day.inFlight) await land()
      }
      while (flying.length > 0) await land()
      await call(context.to(name('tape') as Name<TapeMessages>), 'printed', answered)
      day.closed(await call(exchange, 'snapshot'))
      return noReply(day)
    },
  },
}
