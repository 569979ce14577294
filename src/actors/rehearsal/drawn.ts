/**
 * Sets the clocks and draws of this process: `Date`, `Math.random` and the random functions of `crypto` answer
 * by a seed. Code that answers otherwise with another seed cannot be repeated. It is apart from the
 * re-run of a turn, because it knows nothing of turns, and replays of runs are judged by it, too.
 */
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { seededRandom } from '../../clock.ts'
import { readError } from '../../thrown.ts'
import { userPlace } from '../../user-frames.ts'

/** The first uses of a clock or a draw: the function, and the place in the code of users. */
export type Draw = { readonly what: string; readonly place: string }

/** Clocks and draws that are set. */
export type SetDraws = {
  /** The first uses in the code of users. */
  readonly draws: readonly Draw[]
  /** Gives the process its own ones back. */
  readonly restore: () => void
}

/** Calls `run`, synchronously, with the clocks and draws of this seed. */
export const withDraws = <T>(
  seed: number,
  now: number,
  run: () => T,
): { readonly result: T; readonly draws: readonly Draw[] } => {
  // A draw of another seed differs by years, so that no rounding hides it.
  const { draws, restore } = setDraws(seed, now + seed * yearsMs)
  try {
    return { result: run(), draws }
  } finally {
    restore()
  }
}

/** Three years, and odd in all units. */
export const yearsMs = 98_765_432_101

/** Lets the whole process have the draws of this seed, and `time` as its time, in ms since 1970. */
export const setDraws = (seed: number, time: number): SetDraws => {
  const random = seededRandom(seed)
  const draws: Draw[] = []
  const drawn = (what: string): void => {
    if (draws.length < 3)
      draws.push({ what, place: userPlace(readError(new Error(what)).stack) ?? 'an unknown place' })
  }
  const bytes = (length: number): Buffer =>
    Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)))
  const filled = (view: ArrayBufferView): ArrayBufferView => {
    new Uint8Array(view.buffer, view.byteOffset, view.byteLength).set(bytes(view.byteLength))
    return view
  }
  const uuid = (): string => {
    const hex = bytes(16).toString('hex')
    return hex.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, '$1-$2-4$3-8$4-$5')
  }
  const restores: (() => void)[] = []
  const set = (of: object, name: string, make: (...given: never[]) => unknown, label: string) => {
    const own = Object.getOwnPropertyDescriptor(of, name)
    const found = Reflect.get(of, name)
    const value = (...given: unknown[]) => {
      // With a callback it answers later: such a handler awaits.
      if (typeof given.at(-1) === 'function') return Reflect.apply(found, of, given)
      drawn(label)
      return make(...(given as never[]))
    }
    Object.defineProperty(of, name, { value, configurable: true, writable: true })
    restores.push(() => {
      if (own) Object.defineProperty(of, name, own)
      else Reflect.deleteProperty(of, name)
    })
  }
  const { Date: ownDate } = globalThis
  const restore = (): void => {
    globalThis.Date = ownDate
    for (const each of restores.reverse()) each()
    syncBuiltinESMExports()
  }
  try {
    set(Math, 'random', random, 'Math.random()')
    set(crypto, 'randomUUID', uuid, 'crypto.randomUUID()')
    set(crypto, 'randomBytes', bytes, 'crypto.randomBytes()')
    set(
      crypto,
      'randomInt',
      (least: number, most?: number) =>
        most === undefined
          ? Math.floor(random() * least)
          : least + Math.floor(random() * (most - least)),
      'crypto.randomInt()',
    )
    set(globalThis.crypto, 'randomUUID', uuid, 'crypto.randomUUID()')
    set(globalThis.crypto, 'getRandomValues', filled, 'crypto.getRandomValues()')
    globalThis.Date = new Proxy(ownDate, {
      construct: (_, given) => {
        if (given.length > 0) return Reflect.construct(ownDate, given)
        drawn('new Date()')
        return new ownDate(time)
      },
      apply: () => {
        drawn('Date()')
        return String(new ownDate(time))
      },
      get: (_, name) => {
        if (name !== 'now') return Reflect.get(ownDate, name)
        return () => {
          drawn('Date.now()')
          return time
        }
      },
    })
    syncBuiltinESMExports()
    return { draws, restore }
  } catch (error) {
    restore()
    throw error
  }
}
