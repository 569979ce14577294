/** Which turns of a durable actor took effect, by its log alone. */
import { expect, test } from 'vitest'
import { seededRandom } from '../../../src/clock.ts'
import type { LoggedTurn } from '../../../src/storage/examination/logged-turn.ts'
import { chainIn } from '../../../src/storage/examination/turn-scan.ts'
import { newest, placesOf } from '../../support/lives/history-life.ts'
import { liveTurns, type TurnLife } from '../../support/lives/turn-life.ts'
import { seedsOf } from '../../support/tier.ts'

const seeds = seedsOf(50, 2_000)

/** The chain as a search finds it in a log of segments that begin at `bases`. */
const chainOf = (
  life: TurnLife,
  bases: readonly number[],
  { atLsn = Number.MAX_SAFE_INTEGER } = {},
): readonly LoggedTurn[] => {
  const turns: LoggedTurn[] = []
  let wanted = newest(life)
  for (const [at, base] of [...bases.entries()].reverse()) {
    const end = bases[at + 1] ?? Number.POSITIVE_INFINITY
    const found = life.logged.filter(({ lsn }) => lsn >= base && lsn < end)
    const part = chainIn(found, wanted, { atLsn, limit: Number.MAX_SAFE_INTEGER })
    turns.push(...part.turns)
    wanted = part.wanted
  }
  return turns
}

test(`the chain has the turns that took effect in ${seeds.length} lives, as of every LSN`, () => {
  const seen = { refused: 0, ends: 0, late: 0 }
  for (const seed of seeds) {
    const life = liveTurns(seed)
    seen.refused += life.logged.length - life.effective.length
    seen.ends += life.effective.filter(({ mark }) => mark === undefined).length
    for (let atLsn = 0; atLsn <= life.lastLsn; atLsn++) {
      const truth = life.effective.filter(({ lsn }) => lsn <= atLsn).reverse()
      expect(placesOf(chainOf(life, [1], { atLsn })), `seed ${seed} at ${atLsn}`).toEqual(
        placesOf(truth),
      )
    }
  }
  expect(seen.refused).toBeGreaterThan(seeds.length)
  expect(seen.ends).toBeGreaterThan(seeds.length / 2)
})

test('the chain is the same in segments, and ends where the log begins', () => {
  for (const seed of seeds) {
    const life = liveTurns(seed)
    const random = seededRandom(seed)
    const drawn = [0, 1, 2, 3].map(() => 1 + Math.floor(random() * life.lastLsn))
    const bases = [...new Set(drawn)].sort((left, right) => left - right)
    const truth = life.effective.filter(({ lsn }) => lsn >= (bases[0] as number)).reverse()
    expect(placesOf(chainOf(life, bases)), `seed ${seed}`).toEqual(placesOf(truth))
  }
})

test('a forward scan is wrong: it takes a refused turn for the one after it with its mark', () => {
  const forward = ({ logged }: TurnLife): readonly LoggedTurn[] => {
    const turns: LoggedTurn[] = []
    for (const turn of logged) {
      const present = turns.at(-1)?.mark
      if (textOf(turn.follows) === textOf(present)) turns.push(turn)
    }
    return turns.reverse()
  }
  const isWrong = (seed: number): boolean => {
    const life = liveTurns(seed)
    return `${placesOf(forward(life))}` !== `${placesOf([...life.effective].reverse())}`
  }
  expect(seeds.filter(isWrong).length).toBeGreaterThan(0)
})

const textOf = (mark: LoggedTurn['mark']): string => `${mark?.incarnation}/${mark?.seq}`
