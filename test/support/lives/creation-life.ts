/**
 * Lives of a log that is made on a disk that fails, from one seed: a call to the disk fails while the log is made, and while what
 * was made is removed the next one fails, or the power goes. Another try makes the log, however much of the first is left.
 */
import { expect } from 'vitest'
import { seededRandom } from '../../../src/clock.ts'
import { simulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'
import { worldOn } from '../worlds/logs.ts'
import type { Tally } from './seed-lives.ts'

/** More calls to the disk than the making of a log needs. */
const callsMax = 45

/** Some of the last calls of a making, after which everything is there that must be removed. */
const removedMax = 12

/** Lives a life of `rounds` logs. Rejects with what was left. */
export const liveCreation = async (seed: number, rounds = 40): Promise<Tally> => {
  const random = seededRandom(seed)
  const upTo = (most: number): number => 1 + Math.floor(random() * most)
  const tally = { lives: 1, failed: 0, cut: 0 }
  for (let round = 0; round < rounds; round++) {
    const disk = simulatedDisk({ seed: seed * rounds + round })
    if (random() < 0.5) disk.makeFolder('/data')
    const world = worldOn(disk)
    const at = upTo(callsMax)
    disk.inject({ at, fault: { kind: 'error' } })
    const kind = random() < 0.5 ? 'halt' : 'error'
    disk.inject({ at: at + upTo(removedMax), fault: { kind } })
    try {
      world.create()
    } catch {
      tally.failed++
    }
    disk.clearFaults()
    if (kind === 'halt') {
      disk.halt()
      disk.crash()
      tally.cut++
    }
    // As a start does.
    if (world.inspect().walId === undefined) world.create()
    expect(world.open().report.lastLsn, `seed ${seed}, log ${round}`).toBe(0)
  }
  return tally
}
