/** A simulated machine as nasty as a real one: timers are uneven, and threads die while their process lives. */
import { type Clock, seededRandom, type VirtualClock, virtualClock } from '../../../src/clock.ts'
import { isKeelsonError } from '../../../src/errors.ts'
import type { App } from '../../../src/supervisors/index.ts'
import type { SimulatedDisk } from '../../../src/testing/index.ts'
import type { MachineOptions } from '../../../src/testing/simulated/simulated-machine.ts'
import type { ThreadRole } from '../../../src/testing/simulated/simulated-thread.ts'
import { type Machine, machine } from './simulated-instance.ts'

/** A machine whose seed decides these as well. */
export const nastyMachine = ({ seed = 1, ...options }: MachineOptions = {}): Machine => {
  const clock = unevenClock(seed)
  return machine({ dyingAt: seldomDying(seed, clock), ...options, seed, clock })
}

/**
 * A virtual clock whose timers are as uneven as those of Node. Node cuts the fraction of a delay and compares it with a time
 * that it read some time before, so a timer may fire almost 2 ms early by the monotonic clock. Behind other work it fires late.
 */
export const unevenClock = (seed: number): VirtualClock => {
  const clock = virtualClock(seed)
  const random = seededRandom(seed ^ 0x7131)
  const uneven = (ms: number): number => {
    if (ms <= 0) return ms
    const early = Math.max(0.001, Math.max(1, Math.trunc(ms)) - random() * 1.9)
    return early + (random() < 0.1 ? random() * 3 : 0)
  }
  return { ...clock, after: (ms, ...rest) => clock.after(uneven(ms), ...rest) }
}

/** The least time between two deaths, in ms: an instance survives one death, and remembers restarts for a while. */
const deathsApartMs = 9_000

/** At which of its calls to the disk a thread dies that starts now: one at a time, and not soon after another. */
export const seldomDying = (
  seed: number,
  clock: Pick<Clock, 'monotonic'>,
): ((role: ThreadRole) => number | undefined) => {
  const random = seededRandom(seed ^ 0x5eed)
  let doomed: ThreadRole | undefined
  let nextAt = 0
  return (role) => {
    // Its last thread has died or was ended.
    if (doomed === role) {
      doomed = undefined
      nextAt = clock.monotonic() + deathsApartMs
    }
    if (doomed !== undefined || clock.monotonic() < nextAt || random() < 0.5) return undefined
    doomed = role
    return 1 + Math.floor(random() ** 2 * 600)
  }
}

/**
 * What `work` answers. A thread may die under it, which takes nothing that was promised: what says that it was not done is
 * done once more, on open shards. Threads die apart, so a second refusal is one.
 */
export const despiteDeath = async <T>(app: App, work: () => Promise<T>): Promise<T> => {
  try {
    return await work()
  } catch (error) {
    const isDeath = isKeelsonError(error, 'SHARD_DOWN') && error.details.reason === 'thread'
    if (!isDeath && !isKeelsonError(error, 'NOT_SUBMITTED')) throw error
    await Promise.all(app.shards.map((shard) => shard.settled()))
    return work()
  }
}

const hourMs = 3_600_000

/** Steps by which clocks are set, in ms. From a minute on a running shard does not follow. */
const clockSteps = [-5 * hourMs, -hourMs, -90_000, -2_000, 2_000, 90_000, hourMs, 5 * hourMs]

/** Sets the wall clock, as a person or a wrong time server does. Returns by how much. */
export const setClock = (clock: VirtualClock, random: () => number): number => {
  const step = clockSteps[Math.floor(random() * clockSteps.length)] ?? 0
  clock.set(Math.max(0, clock.now() + step))
  return step
}

/** The disk is full from now on, for `ms`. */
export const fillFor = (disk: SimulatedDisk, clock: VirtualClock, ms: number): void => {
  disk.capacityBytes = Number.MAX_SAFE_INTEGER
  disk.capacityBytes -= disk.freeBytes
  clock.after(ms, () => {
    disk.capacityBytes = Number.POSITIVE_INFINITY
  })
}
