/** All scripts on one engine, in two lives of a process; and how Keelson's outcome may differ from that of DBOS. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Player } from '../writes/players.mjs'
import { scripts } from './scripts.mjs'

const program = fileURLToPath(new URL('./player.mjs', import.meta.url))

/**
 * Plays them on the engine of this name, with its data in `place` and the ledger in `folder`. Answers for each script
 * `{ title, status, value or error, steps: { key: runs }, notes }`.
 */
export const playScripts = async (engine, place, folder) => {
  const ledger = join(folder, `${engine}.ledger`)
  const notes = []
  const live = async (life) => {
    const player = await Player.fork(program, [engine, place, ledger, `${life}`])
    notes.push(await player.ask({ kind: 'life' }))
    return player
  }
  await (await live(1)).kill()
  const second = await live(2)
  const outcomes = await second.ask({ kind: 'outcomes' })
  await second.kill()
  return scripts.map(({ title }, at) => ({
    title,
    ...outcomes[at],
    notes: Object.assign({}, ...notes.map((each) => each[at])),
  }))
}

/** The outcome that a script must have on Keelson: that of DBOS, but for the differences on purpose. */
export const expectedOf = ({ differs }, outcome) =>
  // As JSON: a field that is absent there is undefined here.
  JSON.parse(JSON.stringify({ ...outcome, ...differs?.keelson }))
