/**
 * kill -9, again and again, while many logs and stores are written at once: nothing that any of them was answered may be
 * missing afterwards. A round is one log or store that was struck.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seededRandom } from '../../src/clock.ts'
import { newPlaces, type Place, recover, renew } from './ledger.ts'
import { strikeChild } from './struck-child.ts'

/** What the rounds came to. */
export type Strikes = { rounds: number; strikes: number; promised: number; torn: number }

/** How a run is done. */
export type StrikeOptions = {
  readonly rounds: number
  readonly seed: number
  /** Folders that one strike hits; 10 when absent. With one at a time every round is a SIGKILL of its own. */
  readonly atOnce?: number | undefined
  readonly progress?: (strikes: Strikes) => void
}

/** Rounds of kill -9. @throws Error with seed and round when something answered is missing. */
export const killRounds = async ({
  rounds,
  seed,
  atOnce = 10,
  progress,
}: StrikeOptions): Promise<Strikes> => {
  const random = seededRandom(seed)
  const dir = mkdtempSync(join(tmpdir(), 'keelson-kill-'))
  const sum: Strikes = { rounds: 0, strikes: 0, promised: 0, torn: 0 }
  try {
    const places = newPlaces(dir, Math.min(rounds, atOnce))
    while (sum.rounds < rounds) {
      // The first strike hits what was answered: a run of few strikes has something to look for.
      const moment =
        random() < 0.2 && sum.strikes > 0
          ? { ms: Math.floor(random() * 120) }
          : { acknowledgements: 1 + Math.floor(random() ** 2 * 4000) }
      await strikeChild(places, moment, (child) => child.kill('SIGKILL'))
      await settle(places, sum, `seed ${seed}, strike ${sum.strikes}`)
      if (sum.strikes % 8 === 0) for (const place of places) renew(place)
      progress?.(sum)
    }
    return sum
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

/** Recovers all places after a strike, and counts. */
export const settle = async (
  places: readonly Place[],
  sum: Strikes,
  where: string,
): Promise<void> => {
  sum.strikes += 1
  for (const place of places) {
    const { promised, tail } = await recover(place).catch((error) => {
      throw new Error(`${where}: ${String(error)}`, { cause: error })
    })
    sum.rounds += 1
    sum.promised += promised
    if (tail === 'torn') sum.torn += 1
  }
}
