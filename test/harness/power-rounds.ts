/**
 * Power cuts on a real file system while many logs and stores are written, and cuts of which only some pages of the newest
 * group reached the disk. A round is one cut.
 */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { seededRandom } from '../../src/clock.ts'
import { type StrikeOptions, type Strikes, settle } from './kill-rounds.ts'
import { newPlaces, type Place, renew } from './ledger.ts'
import { type LoopDisk, loopDisk } from './loop-disk.ts'
import { strikeChild } from './struck-child.ts'

/** Rounds of power cuts. @throws Error with seed and round when something answered is missing. */
export const powerRounds = (options: StrikeOptions): Promise<Strikes> =>
  onDisk(options, async (disk, places, random, strikes) => {
    // As with kills: the first strike hits what was answered.
    const moment =
      random() < 0.15 && strikes > 0
        ? { ms: Math.floor(random() * 150) }
        : { acknowledgements: 1 + Math.floor(random() ** 2 * 2500) }
    await strikeChild(places, moment, (child) => {
      disk.cutPower()
      child.kill('SIGKILL')
    })
  })

/** Rounds in which the last entries were only written, and some of their pages reach the disk, others not. */
export const pageRounds = (options: StrikeOptions): Promise<Strikes> =>
  onDisk(
    options,
    async (disk, places, random) => {
      // What the cache forgot comes back page by page; otherwise pages that were written together stay together.
      const ready = () => {
        for (const { dir } of places) disk.forgetPages(join(dir, newestOf(dir)))
      }
      await strikeChild(places, { ready }, (child) => {
        for (const { dir } of places) {
          const path = join(dir, newestOf(dir))
          const pages = Array.from({ length: statSync(path).size / 4096 }, (_, page) => page)
          const share = random()
          disk.keepPages(
            path,
            pages.filter(() => random() < share),
          )
        }
        disk.cutPower()
        child.kill('SIGKILL')
      })
    },
    'wal',
  )

const newestOf = (dir: string): string =>
  readdirSync(dir)
    .filter((name) => name.endsWith('.wal'))
    .sort((one, other) => (one.slice(-12) < other.slice(-12) ? -1 : 1))
    .at(-1) ?? ''

const onDisk = async (
  { rounds, seed, progress }: StrikeOptions,
  strike: (
    disk: LoopDisk,
    places: readonly Place[],
    random: () => number,
    strikes: number,
  ) => Promise<void>,
  only?: Place['kind'],
): Promise<Strikes> => {
  const random = seededRandom(seed)
  const sum: Strikes = { rounds: 0, strikes: 0, promised: 0, torn: 0 }
  const disk = loopDisk()
  try {
    const all = newPlaces(disk.dir, 5)
    const places = all.filter(({ kind }) => only === undefined || kind === only)
    while (sum.strikes < rounds) {
      await strike(disk, places, random, sum.strikes)
      disk.restart()
      await settle(places, sum, `seed ${seed}, power cut ${sum.strikes}`)
      if (sum.strikes % 6 === 0) for (const place of places) renew(place)
      progress?.(sum)
    }
    return sum
  } finally {
    disk.remove()
  }
}
