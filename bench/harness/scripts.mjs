/**
 * Scripts that Keelson and a peer both play, in lives of a process that the bench kills. The outcome of Keelson must be that of the
 * peer, but for the difference that a script says: `differs` has the `why` and the parts of Keelson's outcome.
 */
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { Player } from '../writes/players.mjs'

/**
 * Plays `scripts` with `program` on the engine of this name, with its data in `place` and the ledger in `folder`. Answers for each
 * script its title, the outcome of the last life and what the hosts of all lives have noted.
 */
export const playLives = async ({ program, scripts, lives }, engine, place, folder) => {
  const ledger = join(folder, `${engine}.ledger`)
  const notes = []
  for (let life = 1; ; life++) {
    const player = await Player.fork(program, [engine, place, ledger, `${life}`])
    notes.push(await player.ask({ kind: 'life' }))
    const outcomes = life === lives && (await player.ask({ kind: 'outcomes' }))
    await player.kill()
    if (outcomes)
      return scripts.map(({ title }, at) => ({
        title,
        ...outcomes[at],
        notes: Object.assign({}, ...notes.map((each) => each[at])),
      }))
  }
}

/** The outcome that a script must have on Keelson: that of the peer, but for the differences on purpose. */
export const expectedOf = ({ differs }, outcome) =>
  // As JSON: a field that is absent there is undefined here.
  JSON.parse(JSON.stringify({ ...outcome, ...differs?.keelson }))

/** Says how the outcomes of one script compare; answers whether that is as its script says. */
const isAsSaid = (script, peer, own, other) => {
  const isAsExpected = isDeepStrictEqual(own, expectedOf(script, other))
  const isIdle = script.differs !== undefined && isDeepStrictEqual(own, other)
  if (isAsExpected && !isIdle) {
    if (script.differs) console.log(`${script.title}\n  ${script.differs.why}`)
    return true
  }
  const fault = isIdle ? 'lists a difference, and there is none' : 'differs'
  console.log(`${script.title}: ${fault}`)
  for (const [name, outcome] of Object.entries({ keelson: own, [peer]: other }))
    console.log(`  ${name.padEnd(8)} ${JSON.stringify({ ...outcome, title: undefined })}`)
  return false
}

/** Compares the outcomes of all scripts. Throws when some do not compare as they say. */
export const compareAll = (scripts, peer, { own, others }) => {
  const wrong = scripts.filter((script, at) => !isAsSaid(script, peer, own[at], others[at]))
  const differing = scripts.filter(({ differs }) => differs !== undefined)
  if (wrong.length > 0) throw new Error(`${wrong.length} scripts do not compare as they say`)
  console.log(`\n${scripts.length} scripts, ${differing.length} of them differ as they say`)
}
