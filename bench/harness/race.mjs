/**
 * Runs the contenders of one case against each other: each in a process of its own, one at a time, in turns, so that what
 * the machine does meanwhile hits all of them. The median of the turns counts.
 */
import { Entrant } from './entrant.mjs'

/** Seconds that a contender is warmed up, and those of one turn. */
const thoroughly = { warmUp: 0.6, seconds: 0.3 }
const quickly = { warmUp: 0.1, seconds: 0.05 }

/**
 * Answers for each contender of `race.contenders` (`{ name, file, cases, absent }`) the median, lowest and highest rate,
 * or the reason why it is absent. `race.id` names the case, `race.fixed` its count if that matters, `race.step` the least
 * sensible count, `race.measure` is 'bytes' where that is the figure, `race.isLong` one that `--quick` takes once.
 */
export const run = async (race, { quick, repeats = quick ? 3 : 5, cpu }) => {
  const able = race.contenders.filter(({ cases }) => race.id in cases)
  const entrants = new Map()
  try {
    for (const contender of able) {
      const entrant = await Entrant.start(contender, race.id)
      entrants.set(contender, entrant)
      await entrant.calibrate({ ...race, ...(quick ? quickly : thoroughly) })
    }
    const turns = quick && race.isLong ? 1 : (race.turns ?? repeats)
    for (let turn = 0; turn < turns; turn++) {
      for (const entrant of entrants.values()) {
        entrant.results.push(await entrant.measure(entrant.count))
      }
    }
  } finally {
    for (const entrant of entrants.values()) await entrant.stop()
  }
  return race.contenders.map((contender) => {
    const figures = entrants.get(contender)?.results.map((result) => figureOf(race, result, cpu))
    if (figures === undefined) return { name: contender.name, absent: contender.absent[race.id] }
    return { name: contender.name, count: entrants.get(contender).count, ...spread(figures) }
  })
}

const figureOf = ({ measure }, { count, seconds, cpuSeconds, bytes }, cpu) =>
  measure === 'bytes' ? bytes / count : count / (cpu ? cpuSeconds : seconds)

const spread = (figures) => {
  const sorted = [...figures].sort((left, right) => left - right)
  const middle = sorted.length >> 1
  const median =
    sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  return { median, lowest: sorted[0], highest: sorted.at(-1) }
}
