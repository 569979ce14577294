/** The player of Keelson: one instance, whose journal takes entries by number. `verify` asks for them again by their ids. */
import { start } from 'keelson'
import { byWriters, play } from '../entities/turn.mjs'
import { entryOf } from './entry.mjs'

const [, , dir] = process.argv
const app = await start({ dir })
let next = 0

play({
  turn: ({ inFlight, seconds }) =>
    byWriters(inFlight, seconds, () => app.journal.append(entryOf(next++))),
  verify: async () => {
    for (let number = 0; number < next; number += Math.ceil(next / 1_000)) {
      const { repeated } = await app.journal.append(entryOf(number))
      if (!repeated) throw new Error(`entry ${number} was acknowledged and is lost`)
    }
  },
  close: () => app.close(),
})
