/**
 * The one door to time, chance and the event loop. Everything that waits, stamps or draws takes a
 * `Clock`, so that a whole system runs on a virtual one: then time moves only when a test says so,
 * and a seed fixes every draw.
 */

import { randomBytes } from 'node:crypto'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { argument, noMore, numberFrom } from './check.ts'
import { noOptions } from './own-names.ts'

/** Takes a timer back; a no-op once it has fired. */
export type Cancel = () => void

/** Time, timers, turns of the event loop, and randomness. */
export interface Clock {
  /** Milliseconds since 1970, whole. May go back when the machine's clock is set. */
  now(): number
  /**
   * Milliseconds from an arbitrary start, fractional; never goes back. Durations and deadlines use
   * this.
   */
  monotonic(): number
  /**
   * Runs `action` once, `ms` from now, in a separate turn; never, if `ms` is `Infinity`. Holds the
   * process open until then, unless `holdsProcess` is false: then a process that has nothing else
   * to do ends without it.
   */
  after(ms: number, action: () => void, options?: { readonly holdsProcess?: boolean }): Cancel
  /**
   * Calls `listener` within a second whenever `now` was set against `monotonic` by more than a second,
   * either way. A waiting time of `now` is another time of `monotonic` then. Does not hold the process
   * open. Returns the function that ends it.
   */
  whenSet(listener: () => void): Cancel
  /** Runs `action` in a later turn of the event loop, after input and output had theirs. */
  soon(action: () => void): void
  /** A number from 0 up to, not including, 1. */
  random(): number
  /** Random bytes, for identities and salts. */
  randomBytes(count: number): Uint8Array
  /** Begins to measure delays of the event loop, if this clock has one. */
  loopDelay?(): LoopDelay
}

/** A measurement of how late turns of the event loop begin. It does not hold the process open. */
export interface LoopDelay {
  /** The longest delay in ms since the last reading. */
  read(): number
  stop(): void
}

/** Resolves `ms` from now. */
export const passed = (clock: Clock, ms: number): Promise<void> =>
  new Promise((resolve) => void clock.after(ms, resolve))

/** How long a wait may take that ends at `endsAt` by the monotonic clock, in ms: 1 at least. */
export const leftUntil = (clock: Clock, endsAt: number): number =>
  Math.max(1, endsAt - clock.monotonic())

/** Node looks at its loop this often. */
const loopResolutionMs = 10

const loopDelay = (): LoopDelay => {
  const delays = monitorEventLoopDelay({ resolution: loopResolutionMs })
  delays.enable()
  return {
    read() {
      const longestMs = delays.max / 1e6
      delays.reset()
      // A delay of Node's is the time between two looks.
      return Math.max(0, longestMs - loopResolutionMs)
    },
    stop: () => void delays.disable(),
  }
}

/** The longest delay that Node's timers take; longer ones are cut to it and armed again. */
const delayMax = 2 ** 31 - 1

/** The machine's clock is compared with the monotonic one this often, while there are listeners. */
const setLookMs = 1_000

/** A smaller difference since the last comparison is a drift of the two clocks. */
const setMinMs = 1_000

/** The machine's clock. A test library may replace it with a clock that gives fractions of a ms. */
const wallNow = (): number => Math.floor(Date.now())

/** A timer of Node. The number of jsdom and of fake timers has neither method, and holds no process. */
type Timer = { ref?(): unknown; unref?(): unknown }

/** Notices that `now` was set against `monotonic`. */
const setWatch = (): Clock['whenSet'] => {
  const listeners = new Set<() => void>()
  const apart = (): number => wallNow() - performance.now()
  let [timer, seen]: [NodeJS.Timeout | undefined, number] = [undefined, 0]
  const look = (): void => {
    const found = apart()
    if (Math.abs(found - seen) <= setMinMs) return
    seen = found
    for (const listener of [...listeners]) listener()
  }
  return (listener) => {
    // Two who wait with one function are two listeners.
    const own = () => listener()
    if (listeners.size === 0) {
      seen = apart()
      timer = setInterval(look, setLookMs)
      ;(timer as Timer).unref?.()
    }
    listeners.add(own)
    return () => {
      if (listeners.delete(own) && listeners.size === 0) clearInterval(timer)
    }
  }
}

/** The machine's own clock. */
export const systemClock = (): Clock => ({
  now: wallNow,
  monotonic: () => performance.now(),
  after(ms, action, { holdsProcess = true } = noOptions) {
    const due = performance.now() + ms
    let timer: NodeJS.Timeout
    const arm = (left: number): void => {
      timer = setTimeout(
        () => (left > delayMax ? arm(due - performance.now()) : action()),
        Math.min(Math.max(left, 0), delayMax),
      )
      if (!holdsProcess) (timer as Timer).unref?.()
    }
    arm(ms)
    return () => {
      // Else Node keeps the empty list of its length until it would have been due.
      if (!holdsProcess) (timer as Timer).ref?.()
      clearTimeout(timer)
    }
  },
  whenSet: setWatch(),
  soon: (action) => void setImmediate(action),
  random: Math.random,
  randomBytes: drawer(),
  loopDelay,
})

/** The bytes of one draw. A small draw costs as much as this one. */
const drawnBytes = 1024

/** Draws random bytes by the kilobyte, and hands them out once. */
const drawer = (): ((count: number) => Uint8Array) => {
  let left: Uint8Array = new Uint8Array(0)
  return (count) => {
    if (count > drawnBytes) return randomBytes(count)
    if (count > left.length) left = randomBytes(drawnBytes)
    const drawn = Uint8Array.from(left.subarray(0, count))
    left = left.subarray(count)
    return drawn
  }
}

/** Pauses between tries that grow with each failure. */
export type Pauses = {
  /** The pause after the first failure, in ms. */
  readonly baseMs: number
  /** The longest pause. */
  readonly maxMs: number
  /** How many times as long each pause is as the one before it; 2 by default. */
  readonly factor?: number
  /** The part of a pause, from 0 to 1, that is left to chance: it is so much shorter at most. */
  readonly jitter?: number
}

/** The pause after the `failures`th failure in a row, in ms. `drawn`: a number from 0 to 1. */
export const backoffMs = (
  { baseMs, maxMs, factor = 2, jitter = 0 }: Pauses,
  failures: number,
  drawn = 1,
): number => Math.min(maxMs, baseMs * factor ** (failures - 1)) * (1 - jitter + jitter * drawn)

/** The pauses before another member is asked again that has refused, or has not answered. */
export const againPauses: Pauses = { baseMs: 25, maxMs: 500 }

/** When a step or an alarm of a durable actor that failed is tried again. */
export type Retry = {
  /** The most tries, with the first one; `Infinity` by default. */
  readonly max?: number | undefined
  /** The pause after the first try, in ms; 1,000 by default. */
  readonly baseMs?: number | undefined
  /** The longest pause, in ms; 60,000 by default. */
  readonly maxMs?: number | undefined
  /** How many times as long each pause is as the one before it; 2 by default. */
  readonly factor?: number | undefined
  /** The part of each pause, from 0 to 1, that is left to chance; 0.2 by default. */
  readonly jitter?: number | undefined
  /** Whether no other try makes sense after this error. Pure. */
  readonly unless?: ((error: unknown) => boolean) | undefined
}

/** A policy with every field. */
export type FullRetry = { readonly [K in keyof Retry]-?: NonNullable<Retry[K]> }

const retryDefault: FullRetry = {
  max: Number.POSITIVE_INFINITY,
  baseMs: 1_000,
  maxMs: 60_000,
  factor: 2,
  jitter: 0.2,
  unless: () => false,
}

/** The policy of which each field is the last one that is given. */
export const retryOf = (...given: readonly (Retry | undefined)[]): FullRetry => {
  const policy: Record<string, unknown> = { ...retryDefault }
  for (const each of given)
    if (each !== undefined)
      for (const [name, value] of Object.entries(each))
        if (value !== undefined) policy[name] = value
  return policy as FullRetry
}

/** A clock that a test moves. */
export interface VirtualClock extends Clock {
  /** Runs everything that can run without time passing. */
  settle(): Promise<void>
  /**
   * Moves time on by `ms`, firing timers in the order of their time and settling after each.
   * @throws KeelsonError `INVALID_ARGUMENT` for anything but a number from 0
   */
  advance(ms: number): Promise<void>
  /** Milliseconds until the earliest timer; `undefined` without one. */
  untilNext(): number | undefined
  /**
   * Sets `now`, in ms since 1970, as an operator sets the clock of a machine: no timer moves. Listeners
   * of `whenSet` are called within a second.
   * @throws KeelsonError `INVALID_ARGUMENT` for anything but a number from 0
   */
  set(now: number): void
}

/**
 * Where virtual time begins: 2026-01-01. Any fixed moment would do; a plausible one keeps printed
 * times readable.
 */
const virtualEpoch = Date.UTC(2026, 0, 1)

/** A step of virtual time, which does not go back. */
const forward = numberFrom(0)

/** A time since 1970. */
const instant = numberFrom(0)

type VirtualTimer = { dueAt: number; order: number; action: () => void }

/**
 * A clock whose time stands still until `advance`. `seed` fixes `random` and `randomBytes`.
 * Timers due at one moment fire in the order in which they were made.
 */
export const virtualClock = (seed = 1, ...surplus: []): VirtualClock => {
  noMore(surplus, 'virtualClock(seed)')
  const timers = new Set<VirtualTimer>()
  const random = seededRandom(seed)
  const listeners = new Set<() => void>()
  let [elapsed, epoch] = [0, virtualEpoch]
  let activity = 0

  const after: Clock['after'] = (ms, action) => {
    // No time ends it, and no process is held: it would only be in the way of `untilNext`.
    if (ms === Number.POSITIVE_INFINITY) return () => undefined
    const timer = { dueAt: elapsed + Math.max(ms, 0), order: activity++, action }
    timers.add(timer)
    return () => void timers.delete(timer)
  }

  const settle = async (): Promise<void> => {
    // One turn runs all microtasks and all actions handed to `soon`; a turn in which nothing was
    // added is the end.
    let seen: number
    do {
      seen = activity
      await new Promise((resolve) => setImmediate(resolve))
      await new Promise((resolve) => setImmediate(resolve))
    } while (seen !== activity)
  }

  return {
    now: () => epoch + Math.floor(elapsed),
    monotonic: () => elapsed,
    after,
    whenSet(listener) {
      const own = () => listener()
      listeners.add(own)
      return () => void listeners.delete(own)
    },
    soon(action) {
      activity++
      setImmediate(action)
    },
    random,
    randomBytes: (count) => Uint8Array.from({ length: count }, () => Math.floor(random() * 256)),
    settle,
    async advance(ms) {
      const end = elapsed + forward(ms, argument('ms'))
      await settle()
      for (let next = earliest(timers); next && next.dueAt <= end; next = earliest(timers)) {
        timers.delete(next)
        elapsed = Math.max(elapsed, next.dueAt)
        next.action()
        await settle()
      }
      elapsed = end
    },
    untilNext() {
      const next = earliest(timers)
      return next && Math.max(0, next.dueAt - elapsed)
    },
    set(now) {
      const before = epoch
      epoch = instant(now, argument('now')) - Math.floor(elapsed)
      if (Math.abs(epoch - before) <= setMinMs || listeners.size === 0) return
      after(random() * setLookMs, () => {
        for (const listener of [...listeners]) listener()
      })
    },
  }
}

const earliest = (timers: Iterable<VirtualTimer>): VirtualTimer | undefined => {
  let first: VirtualTimer | undefined
  for (const timer of timers) {
    if (
      !first ||
      timer.dueAt < first.dueAt ||
      (timer.dueAt === first.dueAt && timer.order < first.order)
    )
      first = timer
  }
  return first
}

/**
 * Mulberry32: a small generator of good enough spread; the same seed gives the same numbers
 * everywhere.
 */
export const seededRandom = (seed: number, ...surplus: []): (() => number) => {
  noMore(surplus, 'seededRandom(seed)')
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
